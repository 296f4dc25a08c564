import { equalBytes, isMeshError, MeshError } from '../../core/base/index.ts'
import type { GroupMark } from '../../core/message/index.ts'

/** What is said of a group comes as a message to that group: by its mark it was admitted, as from a member of that one, or from a peer. @throws {MeshError} MESSAGE_MALFORMED */
export function checkSubject(mark: GroupMark | undefined, subject: Uint8Array | undefined): void {
  if (subject === undefined || (mark !== undefined && equalBytes(mark.id, subject))) return
  throw new MeshError('MESSAGE_MALFORMED', { what: 'group control message', reason: 'it is marked for another group than the one that it is about' })
}

/** Leaves what the outbox has no room for to another time. @throws {MeshError} any other error of `work` */
export async function unlessFull(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isMeshError(error, 'QUOTA')) throw error
  })
}
