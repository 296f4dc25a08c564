import type { Stream } from '@libp2p/interface'

/** The parts of @libp2p/yamux 8's stream that matter here; TypeScript calls them private, so that a test watches them. */
interface YamuxWindow {
  state: number
  recvWindow: number
  recvWindowCapacity: number
  sendWindowUpdate(): void
}

/** yamux's StreamState.Established: the flags of the handshake were sent. */
const established = 3

const isYamux = (stream: object): stream is YamuxWindow =>
  'sendWindowUpdate' in stream &&
  typeof stream.sendWindowUpdate === 'function' &&
  'recvWindow' in stream &&
  'recvWindowCapacity' in stream &&
  'state' in stream

/**
 * Announces received bytes to the sender once they are half of the window, as other yamux implementations do. The one of js-libp2p does
 * it for every single frame, which doubles the number of encrypted writes of a request and its response. Returns whether the stream was one of yamux.
 */
export function coalesceWindowUpdates(stream: Stream): boolean {
  if (!isYamux(stream)) return false
  const send = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    if (stream.state === established && stream.recvWindowCapacity > stream.recvWindow / 2) return
    send()
  }
  return true
}
