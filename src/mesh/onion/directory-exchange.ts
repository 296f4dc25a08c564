import { MeshError } from '../../core/base/index.ts'
import {
  decodeDirectoryFrame,
  differingBuckets,
  type DirectoryFrame,
  encodeDirectoryFrame,
  maxFrameIds,
  type OnionDirectory,
  packDescriptors
} from '../../core/onion/index.ts'
import type { FrameStream } from '../frame-stream.ts'
import { protocolTable } from '../protocol-table.ts'
import type { FrameExchange } from '../request.ts'

/** Ids that go with one `want`: with more, fewer buckets are asked for at one time. */
const idsAtOnce = 4_000
/** Descriptors that are verified in one turn. */
const takenAtOnce = 8
/** Descriptors taken from one peer at one time: as many as a directory may hold. */
const maxReceived = 8_192

export interface PullOptions {
  readonly directory: OnionDirectory
  /** Gets each descriptor, verifies it and keeps it. */
  readonly take: (bytes: Uint8Array) => void
  /** Lets others run: a signature of a key that was never seen takes a millisecond and more. */
  readonly pause: () => Promise<void>
}

/**
 * Asks the other side for all that it has and `directory` has not. Which of our ids the other side does not know.
 * @throws {MeshError} what `take` throws; MESSAGE_MALFORMED, PROTOCOL_LIMIT, TIMEOUT, PEER_UNREACHABLE, ABORTED
 */
export async function pullView(exchange: FrameExchange, options: PullOptions): Promise<readonly Uint8Array[]> {
  const { directory } = options
  const summary = await ask(exchange, { kind: 'ask' })
  if (summary.kind !== 'summary') throw outOfTurn(summary)
  let received = 0
  const unknown: Uint8Array[] = []
  for (const want of wantsOf(directory, differingBuckets(directory.summary(), summary.digests))) {
    let frame = await ask(exchange, want)
    for (; frame.kind === 'descriptors'; frame = decodeDirectoryFrame(await exchange.next())) {
      received += frame.descriptors.length
      if (received > maxReceived) throw limit(`over ${maxReceived} descriptors`)
      await takeAll(frame.descriptors, options)
    }
    if (frame.kind !== 'done') throw outOfTurn(frame)
    unknown.push(...frame.unknown)
  }
  return unknown
}

async function takeAll(descriptors: readonly Uint8Array[], { take, pause }: PullOptions): Promise<void> {
  for (const [index, bytes] of descriptors.entries()) {
    take(bytes)
    if (index % takenAtOnce === takenAtOnce - 1) await pause()
  }
  await pause()
}

export interface AnswerOptions {
  readonly directory: OnionDirectory
  /** Whether this many bytes may be sent to the peer now. */
  readonly maySend: (bytes: number) => boolean
  /** The other side has descriptors that are not here. */
  readonly onBehind: () => void
}

/** Answers the other side of `pullView` until it closes; over its budget it is answered no more. @throws {MeshError} MESSAGE_MALFORMED, PROTOCOL_LIMIT, PEER_UNREACHABLE */
export async function answerPull(stream: FrameStream, options: AnswerOptions): Promise<void> {
  const { directory } = options
  const asked = new Set<number>()
  for await (const bytes of stream.frames()) {
    const frame = decodeDirectoryFrame(bytes)
    if (frame.kind === 'ask') {
      if (!(await send(stream, [{ kind: 'summary', count: directory.size, digests: directory.summary() }], options))) return
      continue
    }
    if (frame.kind !== 'want') throw outOfTurn(frame)
    for (const bucket of frame.buckets) {
      if (asked.has(bucket)) throw limit('a bucket asked for twice')
      asked.add(bucket)
    }
    const { lacking, unknown } = directory.compare(frame.buckets, frame.ids)
    if (unknown.length > 0) options.onBehind()
    if (!(await send(stream, [...packDescriptors(lacking), { kind: 'done', unknown }], options))) return
  }
}

/** Whether all was sent. */
async function send(stream: FrameStream, frames: readonly DirectoryFrame[], { maySend }: AnswerOptions): Promise<boolean> {
  for (const frame of frames) {
    const bytes = encodeDirectoryFrame(frame)
    if (!maySend(bytes.length)) return false
    await stream.send(bytes)
  }
  return true
}

const ask = async (exchange: FrameExchange, frame: DirectoryFrame): Promise<DirectoryFrame> =>
  decodeDirectoryFrame(await exchange.request(encodeDirectoryFrame(frame)))

/** The requests for `buckets`, each with the ids of what is here. What does not fit into one is sent to us though we have it. */
function wantsOf(directory: OnionDirectory, buckets: readonly number[]): readonly Extract<DirectoryFrame, { readonly kind: 'want' }>[] {
  const wants: { readonly kind: 'want'; readonly buckets: number[]; readonly ids: Uint8Array[] }[] = []
  for (const bucket of buckets) {
    const ids = directory.idsIn([bucket]).slice(0, maxFrameIds)
    const last = wants.at(-1)
    if (last === undefined || last.ids.length + ids.length > idsAtOnce) wants.push({ kind: 'want', buckets: [bucket], ids: [...ids] })
    else {
      last.buckets.push(bucket)
      last.ids.push(...ids)
    }
  }
  return wants
}

const outOfTurn = ({ kind }: DirectoryFrame): MeshError =>
  new MeshError('MESSAGE_MALFORMED', { what: 'onion directory exchange', reason: `${kind} out of turn` })
const limit = (reason: string): MeshError => new MeshError('PROTOCOL_LIMIT', { protocol: protocolTable.onionDirectory.id, reason })
