"""Speed, memory, requests and scale, measured: beside other tools (`make bench`) and by size (`make scale`).

In the order of their imports `bench` consists of

    trees     what is backed up: S many small files, L three large ones, M a real tree
    meter     one command: wall time, CPU, peak memory
    link      the way to the storage: a proxy that adds a round trip and counts requests
    stand     Azurite, directly or behind such a link
    tools     azbackup, restic, rclone crypt, borg: how each is told to do the same thing
    bare      the SDK alone, putting the same blobs
    samples   what was measured, and medians of it
    goals     which of the project's goals the medians meet
    report    the Markdown page
    picture   the SVG
    bench     all of them in turn

and `scale` of `crowd` (trees of up to a million files), `index` (a terabyte's worth of pack records), `past` (years of
snapshots), `straight` (snapshots of any size), `aging` (a vault of many small backups), `simulated` and `decade` (ten
years as numbers), `curve` and `chart` (SVGs) and `scale`. Nothing in azbackup imports any of this.
"""
