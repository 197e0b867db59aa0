"""One seeded world of head office and its stores, on one thread and in virtual time.

    python -m tests.simulation --seeds 0:300 --jobs 2
    python -m tests.simulation --seeds 1257 --shrink      # what fails, cut to the steps it takes

`world` is the story and the machines' surroundings, `machines` starts each as its program does,
`people` is what is done all day, `faults` draws what goes wrong from the rooms below, `judge` says
what must hold. Every step, machine and line has its own dice (`loop.Dice`), so that a step can be
left out of a story (`shrink`) and the others stay what they were.

| fault | where it is injected |
|---|---|
| lines cut, flapping, lossy, one-way, silent, requests only | `faults.NETWORK` |
| dropped, repeated, reordered, late, garbled messages | `net.Line.carry`, `net._post` |
| power cuts, at any await, too; restarts | `faults.power_cut`, `loop.Machine.step` |
| disk full, and room again | `faults.fill_disk`, `disk.Disk.squeeze` |
| clock jumps of 1 and 10 years, either way | `faults.clock_jump` |
| boot without a clock | `faults.no_clock` |
| flipped bits in bodies, events and hashes | `disks.flip_bit` |
| copies put back (noticed), images written back (unnoticed) | `disks.put_back`, `write_image` |
| clones of a machine | `disks.clone` |
| head office restored from a backup | `disks.restore_office` |
| fences | `trust.close_revoked`, and head office's own after restores and clones |
| revocation | `trust.revoke` |
| programs of three versions ago, rolled-back upgrades, facts to come | `trust.VERSIONS` |
| certificates to renew, and run out | `trust.months_pass` |
| weeks pass, old facts are dropped, in slices that power cuts fall between | `ageing.AGE` |
| new machines, which begin from a checkpoint | `ageing.new_machine` |
| batches changed, cut, exchanged, forged, out of place | `hostile.tamper` |

| what must hold | where it is checked |
|---|---|
| an answered sale is at head office once, byte for byte | `judge._judge_sales` |
| asked for again it has the same answer | `judge.Truth.same` |
| documents are there | `judge._judge_papers` |
| receipt numbers without a gap in each series, where no disk was put back | `judge._judge_papers` |
| payments are the totals | `judge._judge_papers` |
| chains, signatures, and every view as made again from base and facts | `judge._judge_nodes` |
| every table of a store's nodes is the same on each | `judge._judge_nodes` |
| head office's views are what its facts make | `upkeep.verify` in `judge.judge` |
| stock at head office is that of every node | `judge._judge_goods` |
| rights are never oversold | `judge._judge_goods` |
| no number is used twice, where no disk was put back | `judge._judge_forks` |
| nothing is dropped that is not in a backup | `ageing._drop` |
| who was revoked adds nothing | `judge._judge_revoked` |
| what was tampered with is never believed | `hostile.tamper` |
| within 30 s all is quiet, nothing waits, all hold the same | `world.World.rest` |

The files `test_*` beside are smaller worlds for what this one has not: sticks, documents edited
apart in every way, and views from checkpoints under Hypothesis.
"""
