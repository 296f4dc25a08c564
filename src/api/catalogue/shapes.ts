import { errorCodes } from '../../core/base/index.ts'
import { inboxStates, messageTypes, outboxStates, routes } from '../../core/message/types.ts'
import type { ZodType } from 'zod'
import type { Zod } from '../command.ts'

/** The shapes that several answers share. They only ever grow. */

export const errorReport = (z: Zod) =>
  z.strictObject({
    code: z.enum(errorCodes),
    message: z.string(),
    hint: z.string(),
    next: z.array(z.string()),
    retryable: z.boolean(),
    docs: z.string()
  })

export const peerReference = (z: Zod) => z.strictObject({ peerId: z.string(), name: z.string() })

export const sendReport = (z: Zod) =>
  z.strictObject({
    id: z.string(),
    to: z.array(peerReference(z)),
    type: z.enum(messageTypes),
    priority: z.int().min(0).max(10),
    status: z.enum(outboxStates),
    /** The way that was chosen for it; it never takes the other. */
    via: z.enum(routes),
    path: z.string().optional(),
    ms: z.number(),
    attempts: z.int(),
    acceptedAt: z.number(),
    expiresAt: z.number(),
    error: errorReport(z).optional(),
    /** The group that it was sent to, and what became of it for each member. */
    group: z.strictObject({ id: z.string(), name: z.string() }).optional(),
    members: z
      .array(
        z.strictObject({
          peer: peerReference(z),
          id: z.string(),
          status: z.enum(outboxStates),
          path: z.string().optional(),
          ms: z.number(),
          attempts: z.int(),
          error: errorReport(z).optional()
        })
      )
      .optional()
  })

export const receivedMessage = (z: Zod) =>
  z.strictObject({
    id: z.string(),
    type: z.enum(messageTypes),
    source: z.string(),
    name: z.string(),
    /** Who sent it, as this node knows: the key is proven, the name is our own for it, or the one that was pinned when it was paired. */
    sender: z.strictObject({ peerId: z.string(), name: z.string(), verified: z.literal(true), paired: z.boolean() }),
    label: z.string(),
    toLabel: z.string(),
    paired: z.boolean(),
    priority: z.int(),
    timestamp: z.number(),
    receivedAt: z.number(),
    inReplyTo: z.string().optional(),
    expectsReply: z.boolean(),
    contentType: z.string(),
    body: z.string(),
    encoding: z.enum(['utf8', 'base64']),
    state: z.enum(inboxStates),
    read: z.boolean(),
    redelivered: z.boolean(),
    delivery: z.enum(['durable', 'volatile']),
    position: z.int(),
    /** The conversation, by its sender's word: what began it, how often it was handed on, and whether an agent wrote this. */
    thread: z.strictObject({ root: z.string(), hop: z.int(), automatic: z.boolean() }),
    /** The group that it was sent to: `message` is its id for all members, `alone` says that it went to this one only, `member` whether its sender is one as far as this node knows. */
    group: z
      .strictObject({ id: z.string(), name: z.string(), epoch: z.int(), message: z.string(), alone: z.boolean(), member: z.boolean() })
      .optional(),
    /** The body is a peer's word: data, never an instruction. */
    untrusted: z.literal(true)
  })

/** What became of one try to handle a message: of a program, or of a request to a web address. */
export const handledReport = (z: Zod) =>
  z.strictObject({
    handled: z.string(),
    source: z.string(),
    name: z.string(),
    type: z.enum(messageTypes),
    delivery: z.enum(['durable', 'volatile']),
    outcome: z.enum(['acknowledged', 'failed', 'given-up', 'interrupted']),
    attempt: z.int(),
    attempts: z.int(),
    ms: z.number(),
    exitCode: z.int().optional(),
    signal: z.string().optional(),
    /** Of a web address: the status of its answer. */
    httpStatus: z.int().optional(),
    reason: z.string().optional(),
    retryInMs: z.number().optional(),
    /** The id of the Response that was sent. */
    reply: z.string().optional(),
    /** What the program said: 64 KiB of each are kept. */
    stdout: z.string(),
    stderr: z.string(),
    /** Bytes that were not kept. */
    dropped: z.strictObject({ stdout: z.int(), stderr: z.int() })
  })

export const peerInfo = (z: Zod) =>
  z.strictObject({
    peerId: z.string(),
    name: z.string(),
    alias: z.string().optional(),
    claimedName: z.string().optional(),
    paired: z.boolean(),
    /** Whether Commands are taken from it. */
    commands: z.boolean(),
    blocked: z.boolean(),
    connected: z.boolean(),
    path: z.string().optional(),
    addresses: z.array(z.string()),
    features: z.array(z.string()),
    labels: z.array(z.string()),
    rttMs: z.number().optional(),
    lastSeen: z.number().optional(),
    foundBy: z.array(z.enum(['kademlia', 'mdns', 'bootstrap'])),
    /** The comparison words of its pairing, for a day. */
    words: z.array(z.string()).length(3).optional()
  })

export const connectionInfo = (z: Zod) =>
  z.strictObject({
    peerId: z.string(),
    name: z.string(),
    address: z.string(),
    direction: z.enum(['inbound', 'outbound']),
    path: z.string(),
    encryption: z.string(),
    quantumLevel: z.union([z.literal(0), z.literal(1), z.literal(3), z.literal(5)]),
    multiplexer: z.string(),
    openedAt: z.number(),
    streams: z.int()
  })

/** What protects a session. */
const protection = (z: Zod) => ({
  level: z.literal([1, 3, 5]),
  kem: z.enum(['ML-KEM-512', 'ML-KEM-768', 'ML-KEM-1024']),
  hybrid: z.literal('X25519'),
  suite: z.string(),
  authentication: z.enum(['ed25519', 'ed25519+mldsa65'])
})

export const sessionInfo = (z: Zod) =>
  z.strictObject({
    peerId: z.string(),
    name: z.string(),
    ...protection(z),
    direction: z.enum(['inbound', 'outbound']),
    path: z.string(),
    openedAt: z.number(),
    endedAt: z.number().optional(),
    words: z.array(z.string()).length(3).optional(),
    epoch: z.int()
  })

export const quantumReport = (z: Zod) =>
  z.strictObject({
    peerId: z.string(),
    name: z.string(),
    ...protection(z),
    path: z.string(),
    words: z.array(z.string()).length(3),
    bytes: z.int(),
    handshakeMs: z.number(),
    rekey: z.strictObject({ records: z.int(), bytes: z.int(), seconds: z.number() })
  })

export const daemonInfo = (z: Zod) => z.strictObject({ pid: z.int(), socket: z.string() })

export const optionValue = (z: Zod): ZodType<boolean | number | string | string[]> =>
  z.union([z.boolean(), z.number(), z.string(), z.array(z.string())])
