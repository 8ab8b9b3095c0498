# The holder says that it is alive, or that it stopped part way; or lets go.
# In: home, state (running, stopped or released).
cd -- "$home"
if [ "$state" = released ]; then rm -f holder; sync .; exit; fi
{ read -r who; read -r since _; } <holder
printf '%s\n%s\n' "$who" "$since $(date +%s) $(cat /proc/sys/kernel/random/boot_id) $state" >"holder.$$"
mv -fT "holder.$$" holder
