"""STAGE: the virtual clock, the memory net, the fake's launcher, scenarios and their runner.

Knows virtsim's public face (`virtsim.api`), the doors (`virtsim.host`), the journal and fakeqemu, and how
CPython's event loop works inside. Must not know how the library does its work: nothing of `virtsim.qemu`,
`virtsim.wire` or `virtsim.model`, and nothing of reports or the command line.
"""
