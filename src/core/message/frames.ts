import { MeshError } from '../base/index.ts'
import { volatileKind } from './volatile.ts'

/** The first byte of a frame of /synaptic-mesh/message/1.0.0. */
export const frameKinds = { batch: 1, receipts: 2, volatile: volatileKind } as const
export type FrameKind = keyof typeof frameKinds

/** What a frame is, by its first byte. @throws {MeshError} MESSAGE_MALFORMED when it is empty or of no known kind. */
export function frameKind(frame: Uint8Array): FrameKind {
  switch (frame[0]) {
    case frameKinds.batch:
      return 'batch'
    case frameKinds.receipts:
      return 'receipts'
    case frameKinds.volatile:
      return 'volatile'
    default:
      throw new MeshError('MESSAGE_MALFORMED', { what: 'message frame', reason: 'unknown kind', offset: 0 })
  }
}
