import type { OperationName } from '../../api/index.ts'
import type { Handler, StreamHandler } from './context.ts'
import { circuitClose, circuitList, circuitOpen } from './circuit.ts'
import { daemon, metrics, status, stop } from './daemon.ts'
import { listen } from './listen.ts'
import { events, gateway, gatewayStop, tokenCreate, tokenList, tokenRevoke } from './gateway.ts'
import { inboxAck, inboxList, inboxRead, inboxReply, message, outboxCancel, outboxList, outboxRetry } from './messages.ts'
import { nat } from './nat.ts'
import { netcheck } from './netcheck.ts'
import { discover, invite, join, peers, ping, quantum, trust, wait } from './peers.ts'

export type { Context } from './context.ts'

type StreamName = 'listen' | 'events' | 'gateway'

/** What each operation of the catalogue does. */
export const handlers: { readonly [Name in Exclude<OperationName, StreamName>]: Handler<Name> } = {
  circuitClose,
  circuitList,
  circuitOpen,
  daemon,
  discover,
  gatewayStop,
  inboxAck,
  inboxList,
  inboxRead,
  inboxReply,
  invite,
  join,
  message,
  metrics,
  nat,
  netcheck,
  outboxCancel,
  outboxList,
  outboxRetry,
  peers,
  ping,
  quantum,
  status,
  stop,
  tokenCreate,
  tokenList,
  tokenRevoke,
  trust,
  wait
}

export const streamHandlers: { readonly [Name in StreamName]: StreamHandler<Name> } = { listen, events, gateway }
