import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type ErrorCode, isMeshError, toHex } from '../../src/core/base/index.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'

/** A decoder under noise. */
export interface FuzzTarget {
  /** Unique; names the test. */
  readonly name: string
  readonly decode: (bytes: Uint8Array) => unknown
  /** Bytes that decode: mutations start from them. At least one. */
  readonly valid: readonly Uint8Array[]
  /** When given, whatever decodes must encode to the same bytes again. */
  readonly encode?: (value: unknown) => Uint8Array
  /** The errors that it may throw; by default those of the wire. */
  readonly codes?: readonly ErrorCode[]
  /** Inputs in the suite; FUZZ_RUNS overrides. Default 10,000. */
  readonly runs?: number
}

export interface FuzzReport {
  readonly runs: number
  readonly decoded: number
  readonly refused: number
  readonly slowestMs: number
}

const wireErrors: readonly ErrorCode[] = ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION']
/** Far above what any decoder needs, so that a busy machine does not fail a test; a loop over a length field does. */
const maxMsOfInput = 2_000
const maxGrowthBytes = 50_000_000

/** Every target that was registered in this process. */
export const fuzzTargets: FuzzTarget[] = []

/** Registers a decoder and makes the test that feeds it noise. SEED replays; FUZZ_RUNS sets the number of inputs. */
export function fuzzDecoder(target: FuzzTarget): void {
  assert.ok(!fuzzTargets.some(({ name }) => name === target.name), `${target.name} is registered twice`)
  fuzzTargets.push(target)
  test(`fuzz: ${target.name} refuses noise with its own errors, and decodes only what it encodes`, () => {
    const runs = Number(process.env['FUZZ_RUNS'] ?? target.runs ?? 10_000)
    const seed = Number(process.env['SEED'] ?? 1)
    const { refused } = runFuzz(target, { runs, seed })
    assert.ok(runs < 1_000 || refused > 0, 'no input was refused')
  })
}

/** Feeds `runs` inputs. @throws {AssertionError} naming the seed and the input that broke the rules. */
export function runFuzz(target: FuzzTarget, options: { readonly runs: number; readonly seed: number }): FuzzReport {
  const random = new SeededRandom(options.seed)
  for (const bytes of target.valid) assert.ok(tryInput(target, bytes, options.seed), `${target.name}: a valid input does not decode`)
  const before = usedBytes()
  let decoded = 0
  let slowestMs = 0
  for (let run = 0; run < options.runs; run++) {
    const input = noise(target.valid, random)
    const startedAt = performance.now()
    if (tryInput(target, input, options.seed)) decoded++
    const tookMs = performance.now() - startedAt
    slowestMs = Math.max(slowestMs, tookMs)
    assert.ok(tookMs < maxMsOfInput, `${target.name} (seed ${options.seed}) took ${tookMs} ms for ${describe(input)}`)
  }
  // What was let go of during the first collection goes with the second.
  const growth = Math.min(usedBytes(), usedBytes()) - before
  assert.ok(growth < maxGrowthBytes, `${target.name} (seed ${options.seed}) kept ${growth} bytes`)
  return { runs: options.runs, decoded, refused: options.runs - decoded, slowestMs }
}

/** Whether it decoded. */
function tryInput(target: FuzzTarget, input: Uint8Array, seed: number): boolean {
  const where = (): string => `${target.name} (seed ${seed}), input ${describe(input)}`
  let value: unknown
  try {
    value = target.decode(input)
  } catch (thrown) {
    const codes = target.codes ?? wireErrors
    const isAllowed = isMeshError(thrown) && codes.includes(thrown.code)
    assert.ok(isAllowed, `${where()}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`)
    return false
  }
  if (target.encode !== undefined) assert.equal(toHex(target.encode(value)), toHex(input), `${where()}: encodes to other bytes`)
  return true
}

const describe = (input: Uint8Array): string => (input.length <= 2_048 ? toHex(input) : `${toHex(input.subarray(0, 512))}… (${input.length} bytes)`)

/** The next input: random bytes, or a valid one that was changed in one to four places. */
export function noise(valid: readonly Uint8Array[], random: SeededRandom): Uint8Array {
  if (random.chance(0.1)) return random.bytes(random.integer(0, 300))
  let bytes = random.pick(valid)
  for (let count = random.integer(1, 4); count > 0; count--) bytes = random.pick(mutations)(bytes, random, valid)
  return bytes
}

type Mutation = (bytes: Uint8Array, random: SeededRandom, valid: readonly Uint8Array[]) => Uint8Array

const place = (bytes: Uint8Array, random: SeededRandom): number => random.integer(0, Math.max(0, bytes.length - 1))

/** Places near the start are chosen more often: heads and lengths stand there. */
const earlyPlace = (bytes: Uint8Array, random: SeededRandom): number =>
  random.chance(0.5) ? place(bytes.subarray(0, 40), random) : place(bytes, random)

function edited(bytes: Uint8Array, edit: (copy: Uint8Array) => void): Uint8Array {
  const copy = Uint8Array.from(bytes)
  edit(copy)
  return copy
}

const mutations: readonly Mutation[] = [
  (bytes, random) => {
    const at = earlyPlace(bytes, random)
    return edited(bytes, (copy) => copy.fill((copy[at] ?? 0) ^ (1 << random.integer(0, 7)), at, at + 1))
  },
  (bytes, random) => edited(bytes, (copy) => void (copy[earlyPlace(copy, random)] = random.pick([0, 1, 127, 128, 255, random.integer(0, 255)]))),
  (bytes, random) => edited(bytes, (copy) => copy.fill(random.pick([0, 255]), place(copy, random), place(copy, random))),
  (bytes, random) => bytes.slice(0, place(bytes, random)),
  (bytes, random) => bytes.slice(earlyPlace(bytes, random)),
  (bytes, random) => joined(bytes, random.bytes(random.integer(1, 16))),
  (bytes, random) => spliced(bytes, { at: earlyPlace(bytes, random), removed: 0, inserted: random.bytes(random.integer(1, 9)) }),
  (bytes, random) => spliced(bytes, { at: earlyPlace(bytes, random), removed: random.integer(1, 8), inserted: new Uint8Array() }),
  (bytes, random) => {
    const at = place(bytes, random)
    return spliced(bytes, { at, removed: 0, inserted: bytes.slice(at, at + random.integer(1, 64)) })
  },
  (bytes, random, valid) => {
    const other = random.pick(valid)
    return joined(bytes.slice(0, place(bytes, random)), other.slice(place(other, random)))
  },
  (bytes, random) => edited(bytes, (copy) => copy.copyWithin(place(copy, random), place(copy, random), place(copy, random)))
]

const joined = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const whole = new Uint8Array(a.length + b.length)
  whole.set(a)
  whole.set(b, a.length)
  return whole
}

function spliced(bytes: Uint8Array, how: { readonly at: number; readonly removed: number; readonly inserted: Uint8Array }): Uint8Array {
  return joined(joined(bytes.slice(0, how.at), how.inserted), bytes.slice(how.at + how.removed))
}

let collect: (() => void) | undefined

/** Bytes in use after a collection. */
function usedBytes(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
