# What is still there of what a step kept. Changes nothing, and waits for a script of before that does.
# In: aside, busy; uses `tell_gone`.
# Out: `nothing`, `back` (it was put back), or `kept` and a line for each thing that is gone.
if [ -e "$busy" ]; then
    exec 7<"$busy"
    flock -w 3000 7 || exit
fi
if [ -d "$aside" ]; then
    echo kept
    tell_gone
elif [ -d "$aside.back" ]; then
    echo back
else
    echo nothing
fi
