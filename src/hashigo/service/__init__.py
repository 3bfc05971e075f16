"""The service: `hashigo serve`, one request per photo over HTTP.

The event loop accepts requests and never decodes a picture (`app`). A bounded queue feeds worker processes (`pool`), each of
which handles one photo at a time, from bytes to bytes (`worker`). A worker that dies or is too slow fails its own photo only.
"""
