import type { ErrorCode } from '../../core/base/index.ts'
import { messageTypes, routes } from '../../core/message/types.ts'
import type { Field, Fields } from '../command.ts'

/** Fields that several commands share. */

/** How long to wait: filled from the global --timeout. */
export const timeoutMs = (defaultMs: number) =>
  ({
    type: 'seconds',
    minMs: 1,
    maxMs: 3_600_000,
    defaultMs,
    flag: '--timeout',
    placeholder: 'SECONDS',
    help: `give up after this many seconds (default ${defaultMs / 1000})`
  }) as const satisfies Field

export const peer = {
  type: 'text',
  min: 1,
  max: 512,
  required: true,
  position: 0,
  flag: false,
  help: 'alias, name, peer id (or 6 characters of it) or address'
} as const satisfies Field

export const messageTypeNames = ['thought', 'coordination', 'swarm', 'proposal', 'vote', 'health', 'metrics', 'command', 'response'] as const

/** A named reader of the inbox. */
export const consumer = {
  type: 'text',
  min: 1,
  max: 64,
  placeholder: 'NAME',
  help: 'as a reader of this name, who gets each message until it acknowledged it itself'
} as const satisfies Field

/** The names that messages are shown with, in the same order. */
export const messageTypeAlso: ReadonlyMap<string, string> = new Map(
  messageTypes.map((name, index) => [name.toLowerCase(), messageTypeNames[index] ?? 'thought'])
)

export const messageId = {
  type: 'text',
  min: 1,
  max: 64,
  required: true,
  position: 0,
  flag: false,
  help: "the message's id"
} as const satisfies Field

export const content = {
  type: 'text',
  max: 1_398_104,
  position: 1,
  isPrivate: true,
  placeholder: 'TEXT',
  help: 'what to say; - reads it from standard input'
} as const satisfies Field

export const encoding = { type: 'choice', choices: ['utf8', 'base64'], default: 'utf8', help: 'how the content is given' } as const satisfies Field

export const priority = { type: 'integer', min: 0, max: 10, default: 5, help: 'order in queues, 10 first' } as const satisfies Field
export const ttlS = {
  type: 'integer',
  min: 1,
  max: 2_592_000,
  default: 86_400,
  flag: '--ttl',
  placeholder: 'SECONDS',
  help: 'seconds until it expires'
} as const satisfies Field

/** The route of a message. */
export const via = {
  type: 'choice',
  choices: routes,
  help: 'direct: over a connection with the peer; onion: over a circuit, and never otherwise; by default onion when onion_routing is on, else direct'
} as const satisfies Field

/** Says that a thing which only goes directly may do so, though circuits are the rule. */
export const viaDirect = {
  type: 'choice',
  choices: ['direct'],
  help: 'with onion_routing on: do it all the same, over a direct connection that shows who talks to whom'
} as const satisfies Field

/** What the guard against loops of agents wants to know of a message. */
export const threadFields = {
  automatic: { type: 'boolean', default: false, help: 'say that an agent sends it, with no person in between; implied in what listen --exec runs' },
  cause: {
    type: 'text',
    min: 1,
    max: 64,
    placeholder: 'ID',
    help: 'the message because of which it is sent, whose thread it belongs to; by default the one that it answers'
  },
  allow: {
    type: 'boolean',
    default: false,
    help: 'send it though agents had the thread to themselves for 30 messages, or handed the matter on 8 times'
  }
} as const satisfies Fields

/** Why a message of an agent is not sent. */
export const threadErrors = ['LOOP_GUARD', 'HOP_LIMIT'] as const satisfies readonly ErrorCode[]

/** Why a message finds no way over circuits. */
export const circuitErrors = ['CIRCUIT_TOO_FEW_RELAYS', 'CIRCUIT_NO_ENDPOINT', 'CIRCUIT_GUARDS_FAILED'] as const satisfies readonly ErrorCode[]

/** The longest request that carries a message: 1 MiB in base64 or with every character escaped, and the rest. */
export const messageBodyBytes = 8 * 1_048_576
