export * from '../core/base/index.ts'
export {
  type InboxState,
  inboxStates,
  type MessageType,
  messageTypes,
  type OutboxState,
  outboxStates,
  routes,
  type Via
} from '../core/message/index.ts'
export type { MeshOptions } from '../core/options/index.ts'
export type { InviteCall, InviteInfo, Invites, NewInvite, PairedPeer } from '../mesh/invite-info.ts'
export * from '../mesh/mesh.ts'
export type { NatAttempt, NatRates, NatReport } from '../mesh/nat-report.ts'
export type { NetcheckReport } from '../mesh/netcheck-report.ts'
export { createMesh, type MeshConfig, type MeshSetup } from './create-mesh.ts'
