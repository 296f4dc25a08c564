import type { MessageStream } from '@libp2p/interface'
import { concat } from '../core/base/index.ts'

/** What streams of libp2p send: bytes in one piece, or its own list of pieces. */
type Message = Parameters<MessageStream['send']>[0]
type PieceList = Exclude<Message, Uint8Array>

/** Where a stream of js-libp2p 3 keeps what waits to be sent. TypeScript calls it protected; the class of the list is of a package that only libp2p depends on. */
interface Waiting {
  readonly writeBuffer: PieceList
}

const keepsList = (stream: object): stream is Waiting =>
  'writeBuffer' in stream && typeof stream.writeBuffer === 'object' && stream.writeBuffer !== null && 'sublist' in stream.writeBuffer

/** `pieces` as one message for `stream`: without a copy for a stream of js-libp2p, which takes the pieces as they are. */
export function messageOf(stream: Pick<MessageStream, 'send'>, pieces: readonly Uint8Array[]): Message {
  const [only] = pieces
  if (only !== undefined && pieces.length === 1) return only
  if (!keepsList(stream)) return concat(...pieces)
  const list = stream.writeBuffer.sublist(0, 0)
  list.append(...pieces)
  return list
}
