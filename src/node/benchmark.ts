import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { millis, MeshError, wallMillis } from '../core/base/index.ts'
import type { AdmissionLimits, InboundMessage } from '../core/message/index.ts'
import { createSigner, createVerifier, nodeHandshakeCrypto, sha256 } from '../crypto/index.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { createMesh } from './create-mesh.ts'
import { openStores } from './sqlite/stores.ts'

/** Milliseconds of things that were done one after the other, or each by itself. */
export interface TimeFigures {
  readonly count: number
  readonly minMs: number
  readonly medianMs: number
  readonly p95Ms: number
  readonly maxMs: number
}

/** What a machine does in a second. */
export interface MachineFigures {
  readonly signaturesPerSecond: number
  readonly verificationsPerSecond: number
  /** ML-KEM-768: a key pair, an encapsulation and a decapsulation. */
  readonly kemHandshakesPerSecond: number
  /** Of one message of 1 KiB at a time, with synchronous=FULL. */
  readonly commitsPerSecond: number
  readonly commitMs: TimeFigures
  /** Durable messages of 1 KiB from one node of this process to another, until the receipt is there, many at a time. */
  readonly messagesPerSecond: number
  readonly messageMs: TimeFigures
}

export interface BenchmarkCall {
  /** How long each measurement takes, in seconds. */
  readonly seconds: number
  readonly signal: AbortSignal
  /** Told before each measurement. */
  readonly onStep: (what: string) => void
}

const inFlight = 64
const bodyBytes = 1_024
/** Between two looks at the clock; the loop is left as often, so that Ctrl-C is heard. */
const sliceMs = 50

/** Measures this machine in a temporary folder, of which nothing stays. @throws {MeshError} ABORTED */
export async function benchmark(call: BenchmarkCall): Promise<MachineFigures> {
  // The thread of the stores keeps no process alive, and nothing else may be under way while it commits.
  const alive = setInterval(() => undefined, 1_000)
  try {
    return await measure(call)
  } finally {
    clearInterval(alive)
  }
}

async function measure(call: BenchmarkCall): Promise<MachineFigures> {
  const { onStep } = call
  onStep('signing')
  const signer = createSigner(new Uint8Array(randomBytes(32)), 'bench')
  const bytes = new Uint8Array(randomBytes(256))
  const signaturesPerSecond = await rate(call, () => void signer.sign('envelope-batch', bytes))
  onStep('verifying')
  const verifier = createVerifier('bench')
  const signature = signer.sign('envelope-batch', bytes)
  const verificationsPerSecond = await rate(call, () => void verifier.verify('envelope-batch', signer.publicKey, bytes, signature))
  onStep('key encapsulation')
  const kem = nodeHandshakeCrypto.kem(3)
  const kemHandshakesPerSecond = await rate(call, () => {
    const pair = kem.generate()
    pair.decapsulate(kem.encapsulate(pair.publicKey).ciphertext)
  })
  const folder = await mkdtemp(join(tmpdir(), 'synaptic-mesh-bench-'))
  try {
    onStep('durable commits')
    const commitMs = figures(await commits(call, join(folder, 'store')))
    onStep('messages between two nodes')
    const messages = await messageTimes(call, folder)
    return {
      signaturesPerSecond,
      verificationsPerSecond,
      kemHandshakesPerSecond,
      commitsPerSecond: commitMs.count / call.seconds,
      commitMs,
      messagesPerSecond: (messages.times.length * 1000) / messages.ms,
      messageMs: figures(messages.times)
    }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** The least, the median, the 95th percentile and the most of times in milliseconds. */
export function figures(times: readonly number[]): TimeFigures {
  const sorted = times.toSorted((one, other) => one - other)
  const at = (share: number): number => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) * 1000) / 1000
  return { count: times.length, minMs: at(0), medianMs: at(0.5), p95Ms: at(0.95), maxMs: at(1) }
}

function check({ signal }: BenchmarkCall): void {
  if (signal.aborted) throw new MeshError('ABORTED', { operation: 'bench' })
}

/** How often `work` is done in a second. */
async function rate(call: BenchmarkCall, work: () => void): Promise<number> {
  const started = performance.now()
  const end = started + call.seconds * 1000
  let done = 0
  for (let now = started; now < end; now = performance.now()) {
    const slice = Math.min(end, now + sliceMs)
    for (; performance.now() < slice; done++) work()
    await new Promise(setImmediate)
    check(call)
  }
  return (done * 1000) / (performance.now() - started)
}

const limits: AdmissionLimits = {
  paired: true,
  commands: true,
  blocked: false,
  maxMessages: 1e9,
  maxBytes: 1e15,
  maxMessagesOfSource: 1e9,
  maxBytesOfSource: 1e15
}

/** Times of commits, one after the other. */
async function commits(call: BenchmarkCall, folder: string): Promise<readonly number[]> {
  const stores = await openStores(folder)
  const [source, epoch] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(16))]
  const times: number[] = []
  try {
    const end = performance.now() + call.seconds * 1000
    for (let sequence = 1; performance.now() < end; sequence++) {
      check(call)
      const message = storedMessage({ source, epoch, sequence })
      const before = performance.now()
      await stores.deliveryStore.admit([message], sequence, limits)
      times.push(performance.now() - before)
    }
    return times
  } finally {
    await stores.close()
  }
}

function storedMessage({ source, epoch, sequence }: Pick<InboundMessage, 'source' | 'epoch' | 'sequence'>): InboundMessage {
  const envelope = new Uint8Array(randomBytes(bodyBytes))
  return {
    source,
    via: 'direct',
    epoch,
    sequence,
    id: `m${sequence}`,
    type: 'Thought',
    priority: 5,
    digest: sha256(envelope),
    envelope,
    proof: new Uint8Array(400),
    received: { bootId: 'bench', monotonic: millis(1), wall: wallMillis(1) },
    ttlMs: 60_000
  }
}

const config = { network: 'bench', listenAddrs: ['/ip4/127.0.0.1/tcp/0'], mdns: false, natTraversal: false, portMapping: false, stunServers: [] }
/** Nobody reads what arrives. */
const roomy = { inboxMaxMessages: 10_000_000, inboxMaxBytes: 2 ** 40, inboxMaxMessagesPerPeer: 10_000_000, inboxMaxBytesPerPeer: 2 ** 40 }

/** Two throwaway nodes with stores of their own, paired as people pair them. */
async function messageTimes(call: BenchmarkCall, folder: string): Promise<{ readonly times: readonly number[]; readonly ms: number }> {
  await using sender = await createMesh({ ...config, name: 'bench-sender' }, { stateFolder: join(folder, 'sender') })
  await using recipient = await createMesh({ ...config, ...roomy, name: 'bench-recipient' }, { stateFolder: join(folder, 'recipient') })
  const { invite } = await recipient.invite({})
  await sender.join(invite, { signal: call.signal })
  // Awaited here: what is returned unawaited goes on after both nodes were stopped.
  return await stream(call, sender, recipient)
}

async function stream(call: BenchmarkCall, sender: Mesh, { peerId }: Mesh): Promise<{ readonly times: readonly number[]; readonly ms: number }> {
  const body = new Uint8Array(randomBytes(bodyBytes))
  const times: number[] = []
  const started = performance.now()
  const end = started + call.seconds * 1000
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      check(call)
      const before = performance.now()
      const { status } = await sender.send(peerId, body, { signal: call.signal, timeoutMs: 30_000 })
      if (status === 'stored') times.push(performance.now() - before)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return { times, ms: performance.now() - started }
}
