/** What an end-to-end session costs: handshakes and rekeys at each level, records against bare ChaCha20-Poly1305 (both ends in one thread, CPU time). */
import { parseArgs } from 'node:util'
import { type KemLevel, concat, millis } from '../src/core/base/index.ts'
import { maxPlaintextBytes } from '../src/core/session/index.ts'
import { nodeHandshakeCrypto } from '../src/crypto/handshake-crypto.ts'
import { type End, levels, openPair, settle } from '../test/core/session/support.ts'
import { verdict } from './verdict.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '11' }, mebibytes: { type: 'string', default: '24' } } })
const rounds = Math.max(11, Number(values.rounds))
const mebibyte = 1_048_576
const bytes = Number(values.mebibytes) * mebibyte
const gibibyte = 1_024 * mebibyte

/** CPU milliseconds of this thread: what other programs use does not count. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

function timed(count: number, run: () => void): number {
  const startedAt = cpuMs()
  for (let index = 0; index < count; index++) run()
  return (cpuMs() - startedAt) / count
}

const now = millis(0)
const sizes = { '64 KiB': maxPlaintextBytes, '1 KiB': 1_024 } as const

/** Seals and opens one record of `data`. */
function move(alice: End, bob: End, data: Uint8Array): void {
  for (const output of alice.machine.handle({ type: 'send', data }, now)) {
    if (output.type !== 'send') throw new Error(`a record led to ${output.type}`)
    const [opened] = bob.machine.handle({ type: 'frame', frame: concat(...[output.frame].flat()) }, now)
    if (opened?.type !== 'data' || opened.data.length !== data.length) throw new Error('a record was not opened')
  }
}

const never = { records: 2 ** 31, bytes: 2 ** 50, ms: 2 ** 50 }
const pair = (level: KemLevel): ReturnType<typeof openPair> => openPair({ alice: { level, rekey: never }, bob: { rekey: never } })
const open = new Map(levels.map((level) => [level, pair(level)]))

/** One rekey, both ends; a session takes sixteen in a row. */
function rekeyMs(level: KemLevel): number {
  const { alice, bob } = pair(level)
  return timed(8, () => {
    alice.input({ type: 'rekey' })
    settle(alice, bob)
  })
}

function machineMs(size: number): number {
  const ends = open.get(3) ?? pair(3)
  const data = new Uint8Array(size).fill(7)
  return timed(Math.ceil(bytes / size / (size < 2_000 ? 8 : 1)), () => move(ends.alice, ends.bob, data))
}

function bareMs(size: number): number {
  const key = nodeHandshakeCrypto.aead(new Uint8Array(32))
  const plaintext = new Uint8Array(size).fill(7)
  const nonce = new Uint8Array(12)
  const ad = new Uint8Array(1)
  return timed(Math.ceil(bytes / size / (size < 2_000 ? 8 : 1)), () => {
    const target = new Uint8Array(size + 16)
    key.sealInto(target, { nonce, ad, plaintext })
    key.open(nonce, ad, target)
  })
}

const median = (figures: readonly number[]): number => figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN

const measure = (): Readonly<Record<string, number>> => ({
  ...Object.fromEntries(
    levels.flatMap((level) => [
      [`handshake ${level}`, timed(10, () => void pair(level))],
      [`rekey ${level}`, rekeyMs(level)]
    ])
  ),
  ...Object.fromEntries(
    Object.entries(sizes).flatMap(([name, size]) => [
      [`records ${name}`, machineMs(size)],
      [`bare ${name}`, bareMs(size)]
    ])
  )
})

measure()
const figures = Array.from({ length: rounds }, measure)
const of = (key: string): number => median(figures.map((each) => each[key] ?? Number.NaN))

for (const level of levels)
  process.stdout.write(
    `level ${level}: ${(1_000 / of(`handshake ${level}`)).toFixed(0)} handshakes/s, a rekey ${of(`rekey ${level}`).toFixed(2)} ms, both ends\n`
  )
for (const name of Object.keys(sizes)) process.stdout.write(`records of ${name}: ${(1_000 / of(`records ${name}`)).toFixed(0)}/s sealed and opened\n`)

/** How much of the time that moving `count` records takes one rekey is, in percent. */
const share = (name: keyof typeof sizes, count: number): number => (100 * of('rekey 5')) / (of(`records ${name}`) * count)
verdict([
  { name: 'a rekey of level 5 for each GiB in records of 64 KiB', value: share('64 KiB', gibibyte / maxPlaintextBytes), unit: '%', atMost: 1 },
  { name: 'a rekey of level 5 for each 2^20 records of 1 KiB', value: share('1 KiB', 2 ** 20), unit: '%', atMost: 1 },
  { name: 'records of 64 KiB, of what the cipher alone does', value: of('bare 64 KiB') / of('records 64 KiB'), unit: 'times', atLeast: 0.85 },
  { name: 'records of 1 KiB, of what the cipher alone does', value: of('bare 1 KiB') / of('records 1 KiB'), unit: 'times', atLeast: 0.7 }
])
