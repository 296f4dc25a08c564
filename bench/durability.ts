/** Kills daemons 1,000 times (--kills) while messages flow, crashes at every disk call, cuts the power: what was confirmed must be there. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type DaemonKillReport, killDaemons } from '../test/crash/kill.ts'
import { ackBeforeCommit, plant } from '../test/crash/planted.ts'
import { cutPower, type PowerCut, type Synchronous, whyNoPowerCut } from '../test/crash/powercut.ts'
import { killStores } from '../test/crash/store-kill.ts'
import { faultsOf, SyscallSweep, sweptCalls, twoAtOnce, whyNoSweep } from '../test/crash/syscall-sweep.ts'
import { type Floor, verdict } from './verdict.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    cuts: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', default: 'kill,planted,sweep,powercut' }
  }
})
const root = join(import.meta.dirname, '..')
const seed = Number(values.seed)
const parts = new Set(values.only.split(','))
const floors: Floor[] = []
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const none = (name: string, value: number, unit: string): void => void floors.push({ name, value, unit, atMost: 0 })
const some = (name: string, value: number, of: { readonly unit: string; readonly atLeast?: number }): void =>
  void floors.push({ name, value, atLeast: 1, ...of })

/** Two pairs of daemons at a time: each waits for its own disk and starts most of the time. */
async function killed(kills: number): Promise<void> {
  const pairs = kills >= 20 ? 2 : 1
  const onKill = (done: number): void => void (done % 100 === 0 && say(`  ${done} kills of one of ${pairs} pairs`))
  const reports = await Promise.all(
    Array.from({ length: pairs }, (_, index) => killDaemons({ kills: Math.ceil((kills - index) / pairs), seed: seed + index, root, onKill }))
  )
  const sum = (of: (report: DaemonKillReport) => number): number => reports.reduce((total, report) => total + of(report), 0)
  const done = sum(({ kills: { sender, recipient, both } }) => sender + recipient + both)
  say(
    `kill -9: ${done} kills (${sum((each) => each.kills.sender)} sender, ${sum((each) => each.kills.recipient)} recipient, ${sum((each) => each.kills.both)} both) in ` +
      `${Math.max(...reports.map((each) => each.seconds)).toFixed(0)} s; ${sum((each) => each.accepted)} accepted, ${sum((each) => each.stored)} stored, ` +
      `${sum((each) => each.read)} acknowledgements confirmed, ${sum((each) => each.redelivered)} redelivered before their acknowledgement`
  )
  for (const line of reports.flatMap(({ wrong, damage }) => [...wrong, ...damage]).slice(0, 20)) say(`  wrong: ${line}`)
  some('kills while messages flowed', done, { unit: 'kills', atLeast: kills })
  none(
    'accepted and lost',
    sum(({ lostAccepted }) => lostAccepted.length),
    'messages'
  )
  none(
    'stored and lost',
    sum(({ lostStored }) => lostStored.length),
    'messages'
  )
  none(
    'handed out again after their acknowledgement',
    sum(({ givenAfterAck }) => givenAfterAck.length),
    'messages'
  )
  none(
    'without a terminal state',
    sum(({ notEnded }) => notEnded.length),
    'messages'
  )
  none(
    'damage or other faults',
    sum(({ damage, wrong }) => damage.length + wrong.length),
    'findings'
  )
}

async function planted(): Promise<void> {
  const copy = plant(ackBeforeCommit)
  try {
    const daemons = await killDaemons({ kills: 30, seed, root: copy.root, quiesceMs: 5_000 })
    const stores = await killStores({ kills: 20, seed, root: copy.root })
    const lost = daemons.lostAccepted.length + daemons.lostStored.length + daemons.notEnded.length
    say(
      `planted acknowledgement before COMMIT: ${lost} messages lost or never ended in 30 kills of daemons, ${stores.lostAccepted.length + stores.lostStored.length} in 20 kills of a store`
    )
    some('the planted fault is caught with daemons', lost, { unit: 'messages' })
    some('the planted fault is caught with a store', stores.lostAccepted.length + stores.lostStored.length, { unit: 'messages' })
  } finally {
    copy.remove()
  }
}

async function swept(): Promise<void> {
  const reason = whyNoSweep()
  if (reason !== undefined) {
    say(reason)
    some('crash points swept', 0, { unit: 'points' })
    return
  }
  const sweep = await SyscallSweep.create(root)
  try {
    for (const call of sweptCalls) {
      const count = await sweep.count(call)
      const points = await twoAtOnce(
        Array.from({ length: count }, (_, index) => index + 1),
        (at) => sweep.kill(call, at)
      )
      const hits = points.filter(({ wasHit }) => wasHit).length
      const faults = faultsOf(points)
      say(`crash at ${call}: ${count} calls in the delivery path, ${hits} hits, ${faults.length} faults`)
      for (const fault of faults.slice(0, 5)) say(`  wrong: ${fault}`)
      some(`${call}: crashes that hit`, hits, { unit: 'points', atLeast: Math.max(1, count - 1) })
      none(`${call}: lost or damaged`, faults.length, 'faults')
    }
  } finally {
    sweep.remove()
  }
}

async function cut(cuts: number): Promise<void> {
  const reason = whyNoPowerCut()
  if (reason !== undefined) {
    say(reason)
    some('power cuts', 0, { unit: 'cuts' })
    return
  }
  const run = async (synchronous: Synchronous, count: number): Promise<readonly PowerCut[]> => {
    const results = await cutPower({ cuts: count, seed, root, synchronous })
    const worst = Math.max(...results.map(({ lost }) => lost))
    const confirmed = Math.max(...results.map(({ accepted, stored }) => accepted + stored))
    say(
      `power cut, synchronous=${synchronous.padEnd(6)}: ${results.filter(({ lost }) => lost > 0).length} of ${count} cuts lost something, worst ${worst}; up to ${confirmed} confirmed before a cut`
    )
    return results
  }
  const full = await run('FULL', cuts)
  some('power cuts', full.length, { unit: 'cuts', atLeast: cuts })
  none(
    'lost in power cuts',
    full.reduce((total, { lost }) => total + lost, 0),
    'messages'
  )
  none(
    'damaged in power cuts',
    full.reduce((total, { damage }) => total + damage.length, 0),
    'findings'
  )
  const comparators = Math.min(20, cuts)
  for (const synchronous of ['NORMAL', 'OFF'] as const) {
    const results = await run(synchronous, comparators)
    some(`the same method catches synchronous=${synchronous}`, results.filter(({ lost }) => lost > 0).length, { unit: 'cuts' })
  }
}

say(`seed ${seed}`)
if (parts.has('kill')) await killed(Number(values.kills))
if (parts.has('planted')) await planted()
if (parts.has('sweep')) await swept()
if (parts.has('powercut')) await cut(Number(values.cuts))
verdict(floors)
