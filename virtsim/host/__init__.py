"""The doors to the world: processes, sockets, files, directories, time and chance.

Knows Linux: fork and exec, pidfd, Unix sockets, inotify, flock, /proc, /dev/kvm. Must not know what the
programs and the bytes behind the doors mean: no domains, no QMP, no XML, no states.

This is the only room that touches the operating system. `abc` has the Protocols, `context` the set of doors
that a run is given; the other modules are what answers on a real host:

* `launcher`: starts programs and sees them end
* `files`, `clock`, `chance`: the file system, the time of day, seeded randomness
* `sockets`, `watch`: Unix sockets, and waiting for a path without polling (both also on a virtual loop)
* `rundir`: where a run keeps its files, and how the next run cleans up after one that was killed
* `kvm`: whether KVM really works here
* `procfs`: who a process is, beyond its number
"""
