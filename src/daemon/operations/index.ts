import type { OperationName } from '../../api/index.ts'
import type { Handler, StreamHandler } from './context.ts'
import { agentAdd, agentList, agentRemove, inboxConsumers } from './agents.ts'
import { circuitClose, circuitList, circuitOpen } from './circuit.ts'
import { approve, peerBlock, peerList, peerRemove, peerRename, peerTrust, pending } from './contacts.ts'
import { daemon, metrics, status, stop } from './daemon.ts'
import { listen } from './listen.ts'
import { events, gateway, gatewayStop, tokenCreate, tokenList, tokenRevoke } from './gateway.ts'
import { inboxAck, inboxList, inboxRead, inboxReply, message, outboxCancel, outboxList, outboxRetry } from './messages.ts'
import { groupAdd, groupCreate, groupDelete, groupLeave, groupList, groupRemove } from './groups.ts'
import { nat } from './nat.ts'
import { netcheck } from './netcheck.ts'
import { invite, inviteList, inviteRevoke, inviteWait, join } from './pairing.ts'
import { discover, peers, ping, quantum, trust, wait } from './peers.ts'
import { snapshot, upkeep } from './upkeep.ts'
import { trace } from './trace.ts'

export type { Context } from './context.ts'

type StreamName = 'listen' | 'events' | 'gateway'

/** What each operation of the catalogue does. */
export const handlers: { readonly [Name in Exclude<OperationName, StreamName>]: Handler<Name> } = {
  agentAdd,
  agentList,
  agentRemove,
  circuitClose,
  circuitList,
  circuitOpen,
  daemon,
  discover,
  gatewayStop,
  groupAdd,
  groupCreate,
  groupDelete,
  groupLeave,
  groupList,
  groupRemove,
  inboxAck,
  inboxConsumers,
  inboxList,
  inboxRead,
  inboxReply,
  invite,
  inviteList,
  inviteRevoke,
  inviteWait,
  join,
  message,
  metrics,
  nat,
  netcheck,
  outboxCancel,
  outboxList,
  outboxRetry,
  approve,
  peerBlock,
  peerList,
  peerRemove,
  peerRename,
  peerTrust,
  peers,
  pending,
  ping,
  quantum,
  snapshot,
  status,
  stop,
  tokenCreate,
  tokenList,
  tokenRevoke,
  trace,
  trust,
  upkeep,
  wait
}

export const streamHandlers: { readonly [Name in StreamName]: StreamHandler<Name> } = { listen, events, gateway }
