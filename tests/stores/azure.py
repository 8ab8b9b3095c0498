# Makes the container `backups` and puts a file into its folder `etcd`, signed with the account's key as Azure's own
# library does it.
import base64, email.utils, hashlib, hmac, sys, urllib.parse, urllib.request

port, name = sys.argv[1:]
account, key = "backup", base64.b64decode("c2VjcmV0")


def put(path, query, body, headers):
    headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-12-02", **headers}
    own = "".join(f"{k}:{v}\n" for k, v in sorted(headers.items()))
    resource = f"/{account}/{account}{path}" + "".join(f"\n{k}:{v}" for k, v in sorted(query.items()))
    length = str(len(body)) if body else ""
    kind = "application/octet-stream"
    text = f"PUT\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{own}{resource}"
    signature = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    url = f"http://127.0.0.1:{port}/{account}{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
    headers = {**headers, "Content-Type": kind, "Authorization": f"SharedKey {account}:{signature}"}
    urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers, method="PUT"))


put("/backups", {"restype": "container"}, b"", {})
put("/backups/etcd/" + urllib.parse.quote(name), {}, open(name, "rb").read(), {"x-ms-blob-type": "BlockBlob"})
