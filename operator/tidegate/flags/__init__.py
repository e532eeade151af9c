"""The flag server: watches flag sets and pushes them to OpenFeature clients in under a second.

    source ──changes──► store ──document──► sync   (gRPC, flagd.sync.v1: streams, for in-process providers)
    (watch)             (last good one)  └► ofrep  (HTTP: evaluates for clients that can't)

Start reading at `server.serve`.
"""
