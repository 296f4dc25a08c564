import type { Stream } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'
import { MeshError } from '../core/base/index.ts'
import { maxCircuitFrame } from '../core/nat/index.ts'

/**
 * One frame of the circuit protocol behind its length (an unsigned varint), at most `maxCircuitFrame` bytes. What came after it is left in the stream, which is
 * paused then: a stream that nobody reads grows to 4 MiB.
 * libp2p's own reader decodes a length anew for every byte of it and knows no longest one: 8 KiB of 0xff keep it busy for a tenth of a second.
 * @throws {MeshError} MESSAGE_MALFORMED; Error when the stream ends or the signal comes
 */
export async function readCircuitFrame(stream: Stream, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = byteStream(stream, { maxBufferSize: 65_536 })
  const next = async (): Promise<number> => (await bytes.read({ bytes: 1, signal })).get(0)
  const low = await next()
  const high = low < 128 ? 0 : await next()
  const length = (low & 127) + 128 * high
  if (high > 127 || length > maxCircuitFrame)
    throw new MeshError('MESSAGE_MALFORMED', { what: 'circuit frame', reason: 'it is longer than it may be', offset: 0 })
  const frame = length === 0 ? new Uint8Array(0) : (await bytes.read({ bytes: length, signal })).subarray()
  bytes.unwrap()
  if (stream.readStatus === 'readable') stream.pause()
  return frame
}

/** Writes one frame behind its length. */
export async function writeCircuitFrame(stream: Stream, frame: Uint8Array, signal: AbortSignal): Promise<void> {
  const head = frame.length < 128 ? [frame.length] : [(frame.length & 127) | 128, frame.length >> 7]
  const whole = new Uint8Array(head.length + frame.length)
  whole.set(head)
  whole.set(frame, head.length)
  if (!stream.send(whole)) await stream.onDrain({ signal })
}
