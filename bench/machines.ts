/** The CPU that delivery costs without signatures and storage: the machines, the codecs, volatile frames (1 KiB messages, one core). */
import { parseArgs } from 'node:util'
import { millis, type Signer, type Verifier, wallMillis } from '../src/core/base/index.ts'
import {
  type AdmissionLimits,
  decodeVolatile,
  encodeVolatile,
  InboxMachine,
  type InboxInput,
  type Instant,
  OutboxMachine,
  type OutboxInput,
  type VolatileMessage
} from '../src/core/message/index.ts'
import { sha256, systemRandom } from '../src/crypto/index.ts'
import { verdict } from './verdict.ts'

const { values } = parseArgs({ options: { messages: { type: 'string', default: '100000' }, rounds: { type: 'string', default: '3' } } })
const total = Number(values.messages)
const rounds = Number(values.rounds)

/** CPU milliseconds of this thread: what other programs use does not count. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

const body = new Uint8Array(1_024).fill(7)
const signerOf = (fill: number): Signer => ({ publicKey: new Uint8Array(32).fill(fill), sign: () => new Uint8Array(64) })
const alice = signerOf(1)
const bob = signerOf(2)
const verifier: Verifier = { verify: () => true }
const limits: AdmissionLimits = {
  paired: true,
  commands: true,
  blocked: false,
  maxMessages: 1e9,
  maxBytes: 1e12,
  maxMessagesOfSource: 1e9,
  maxBytesOfSource: 1e12
}
const instant = (now: number): Instant => ({ bootId: 'bench', monotonic: millis(now), wall: wallMillis(1_760_000_000_000 + now) })

/** An outbox and an inbox whose stores answer at once, back to back. */
class Pair {
  readonly #outbox = new OutboxMachine({
    recovery: { epoch: new Uint8Array(16), pending: [], sequences: [], retries: [] },
    at: instant(0),
    random: systemRandom,
    signer: alice,
    verifier,
    sha256,
    maxMessages: 1e6,
    maxBytes: 1e12
  })
  readonly #inbox = new InboxMachine({ signer: bob, verifier, sha256 })
  #calls = 0
  #position = 0
  #batches: Uint8Array[] = []
  #receipts: Uint8Array[] = []
  now = 0
  stored = 0
  outboxMs = 0
  inboxMs = 0

  submit(count: number): void {
    const startedAt = cpuMs()
    const results = Array.from({ length: count }, () => {
      const call = ++this.#calls
      const draft = {
        id: `m-${call}`,
        type: 'Thought',
        destination: { kind: 'peer', key: bob.publicKey, label: '' },
        via: 'direct',
        label: '',
        inReplyTo: undefined,
        expectsReply: false,
        priority: 5,
        ttlS: 86_400,
        contentType: 'application/octet-stream',
        body
      } as const
      this.#feedOutbox({ type: 'submit', call, draft, at: instant(this.now) })
      return { call, outcome: { outcome: 'accepted' } as const }
    })
    this.#feedOutbox({ type: 'enqueued', results })
    this.outboxMs += cpuMs() - startedAt
  }

  exchange(): void {
    let startedAt = cpuMs()
    const batches = this.#batches
    this.#batches = []
    for (const frame of batches)
      this.#feedInbox({
        type: 'batch',
        stream: 1,
        via: 'direct',
        peer: { publicKey: alice.publicKey, limits, messagesPerSecond: 1e9 },
        frame,
        at: instant(this.now)
      })
    this.inboxMs += cpuMs() - startedAt
    startedAt = cpuMs()
    const receipts = this.#receipts
    this.#receipts = []
    for (const frame of receipts) this.#feedOutbox({ type: 'receipts', source: bob.publicKey, frame })
    this.outboxMs += cpuMs() - startedAt
  }

  #feedOutbox(input: OutboxInput): void {
    for (const output of this.#outbox.handle(input, millis(this.now))) {
      if (output.type === 'connect') this.#feedOutbox({ type: 'connected', destination: output.destination, via: 'direct', link: 1, path: 'direct' })
      else if (output.type === 'send') this.#batches.push(output.frame)
      else if (output.type === 'settle') this.#feedOutbox({ type: 'settled', token: output.token })
      else if (output.type === 'state' && output.entry.state === 'stored') this.stored++
    }
  }

  #feedInbox(input: InboxInput): void {
    for (const output of this.#inbox.handle(input, millis(this.now))) {
      if (output.type === 'receipts') this.#receipts.push(output.frame)
      else if (output.type === 'admit') {
        const outcomes = output.messages.map(() => ({ outcome: 'stored', repeat: false, position: ++this.#position }) as const)
        this.#feedInbox({ type: 'admitted', token: output.token, outcomes })
      }
    }
  }
}

function durable(): { readonly outbox: number; readonly inbox: number } {
  const pair = new Pair()
  while (pair.stored < total) {
    pair.submit(100)
    pair.exchange()
    pair.now += 5
  }
  return { outbox: (pair.outboxMs / pair.stored) * 1_000, inbox: (pair.inboxMs / pair.stored) * 1_000 }
}

const volatiles: readonly VolatileMessage[] = Array.from({ length: 64 }, (_, index) => ({
  id: `01JD8XABCDEFGHJKMNPQRSTV${String(index).padStart(2, '0')}`,
  type: 'MetricsUpdate',
  label: '',
  toLabel: '',
  inReplyTo: undefined,
  expectsReply: false,
  priority: 5,
  ttlS: 60,
  timestamp: wallMillis(1_760_000_000_000),
  contentType: 'application/octet-stream',
  body
}))

/** Microseconds for each message. */
function perMessage(run: () => unknown): number {
  const repeats = Math.ceil(total / volatiles.length)
  for (let index = 0; index < repeats / 5; index++) run()
  const startedAt = cpuMs()
  for (let index = 0; index < repeats; index++) run()
  return ((cpuMs() - startedAt) / repeats / volatiles.length) * 1_000
}

const median = (figures: readonly number[]): number => figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN
const frame = encodeVolatile(volatiles)
const figures = Array.from({ length: rounds }, () => ({
  ...durable(),
  encode: perMessage(() => encodeVolatile(volatiles)),
  decode: perMessage(() => decodeVolatile(frame))
}))
const of = (key: 'outbox' | 'inbox' | 'encode' | 'decode'): number => median(figures.map((each) => each[key]))

const rate = (microseconds: number): number => 1e6 / microseconds
/** What one hash of such a message takes on this machine, which the figures are compared with when it is slow or busy. */
const hashRate = rate(perMessage(() => volatiles.map((message) => sha256(message.body))))
const compared = (ratioAtLeast: number): { readonly name: string; readonly value: number; readonly ratioAtLeast: number } => ({
  name: 'SHA-256 of 1 KiB',
  value: hashRate,
  ratioAtLeast
})

process.stdout.write(`1 KiB messages, median of ${rounds} rounds of ${total}, CPU time of one core, without signatures and storage\n`)
verdict([
  { name: 'durable, sender', value: rate(of('outbox')), unit: 'messages/s', atLeast: 20_000, reference: compared(0.04) },
  { name: 'durable, recipient', value: rate(of('inbox')), unit: 'messages/s', atLeast: 20_000, reference: compared(0.04) },
  { name: 'volatile, encode', value: rate(of('encode')), unit: 'messages/s', atLeast: 500_000, reference: compared(0.8) },
  { name: 'volatile, decode', value: rate(of('decode')), unit: 'messages/s', atLeast: 500_000, reference: compared(0.8) }
])
