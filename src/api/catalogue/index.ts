import { agentAdd, agentList, agentRemove, inboxConsumers, listen, listenStream } from './agents.ts'
import { circuitClose, circuitList, circuitOpen } from './circuit.ts'
import { approve, peerBlock, peerList, peerRemove, peerRename, peerTrust, pending } from './contacts.ts'
import { bench, completion, context, help, top, trace } from './comfort.ts'
import { configCheck, configGet, configPath, configSet } from './config.ts'
import { daemon, demo, init, logs, metrics, restart, start, status, stop } from './daemon.ts'
import { inboxAck, inboxList, inboxRead, inboxReply, message, outboxCancel, outboxList, outboxRetry } from './messages.ts'
import { events, gateway, gatewayStop, tokenCreate, tokenList, tokenRevoke } from './gateway.ts'
import { bugreport, doctor, upkeep } from './doctor.ts'
import { keysBackup, keysPasswd, keysRestore, keysShow, snapshot } from './keys.ts'
import { groupAdd, groupCreate, groupDelete, groupLeave, groupList, groupRemove } from './groups.ts'
import { nat } from './nat.ts'
import { netcheck } from './netcheck.ts'
import { relayServe } from './relay.ts'
import { invite, inviteList, inviteRevoke, inviteWait, join } from './pairing.ts'
import { discover, peers, ping, quantum, trust, wait } from './peers.ts'
import { serviceInstall, servicePrint, serviceStatus, serviceUninstall } from './service.ts'

export { messageTypeNames } from './fields.ts'

/** Every command, in the order of the help. */
export const catalogue = {
  init,
  start,
  stop,
  restart,
  logs,
  wait,
  discover,
  message,
  inboxList,
  inboxRead,
  inboxAck,
  inboxReply,
  inboxConsumers,
  outboxList,
  outboxRetry,
  outboxCancel,
  listen,
  agentAdd,
  agentList,
  agentRemove,
  invite,
  inviteList,
  inviteRevoke,
  inviteWait,
  join,
  peers,
  pending,
  approve,
  peerList,
  peerRename,
  peerTrust,
  peerBlock,
  peerRemove,
  status,
  ping,
  quantum,
  nat,
  netcheck,
  circuitOpen,
  circuitList,
  circuitClose,
  trust,
  groupCreate,
  groupAdd,
  groupRemove,
  groupList,
  groupLeave,
  groupDelete,
  metrics,
  gateway,
  gatewayStop,
  tokenCreate,
  tokenList,
  tokenRevoke,
  configGet,
  configSet,
  configPath,
  configCheck,
  keysShow,
  keysBackup,
  keysRestore,
  keysPasswd,
  doctor,
  bugreport,
  relayServe,
  top,
  trace,
  bench,
  serviceInstall,
  serviceUninstall,
  serviceStatus,
  servicePrint,
  completion,
  context,
  help,
  demo
} as const

/** What the daemon answers: the commands that have a route, and one for finding out who it is. */
export const operations = {
  wait,
  discover,
  message,
  inboxList,
  inboxRead,
  inboxAck,
  inboxReply,
  inboxConsumers,
  outboxList,
  outboxRetry,
  outboxCancel,
  listen: listenStream,
  agentAdd,
  agentList,
  agentRemove,
  invite,
  inviteList,
  inviteRevoke,
  inviteWait,
  join,
  peers,
  pending,
  approve,
  peerList,
  peerRename,
  peerTrust,
  peerBlock,
  peerRemove,
  status,
  ping,
  quantum,
  nat,
  netcheck,
  circuitOpen,
  circuitList,
  circuitClose,
  trust,
  trace,
  groupCreate,
  groupAdd,
  groupRemove,
  groupList,
  groupLeave,
  groupDelete,
  metrics,
  snapshot,
  upkeep,
  gateway,
  gatewayStop,
  tokenCreate,
  tokenList,
  tokenRevoke,
  events,
  stop,
  daemon
} as const

export type Catalogue = typeof catalogue
export type CommandName = keyof Catalogue
export type Operations = typeof operations
export type OperationName = keyof Operations
