import { type MessageType, messageTypes } from './types.ts'

const numberOfType: ReadonlyMap<string, number> = new Map(messageTypes.map((type, index) => [type, index + 1]))

/** The wire number of a type, from 1. */
export const messageTypeNumber = (type: MessageType): number => numberOfType.get(type) ?? 0

/** The type with a wire number; undefined when there is none. */
export const messageTypeOfNumber = (value: unknown): MessageType | undefined => (typeof value === 'number' ? messageTypes[value - 1] : undefined)

/** The types by the short names of the command line (`--msg-type`). */
export const messageTypeShortNames = {
  thought: 'Thought',
  coordination: 'AgentCoordination',
  swarm: 'SwarmSync',
  proposal: 'ConsensusProposal',
  vote: 'ConsensusVote',
  health: 'HealthCheck',
  metrics: 'MetricsUpdate',
  command: 'Command',
  response: 'Response'
} as const satisfies Record<string, MessageType>

export type MessageTypeShortName = keyof typeof messageTypeShortNames

/** Content types with a code of one byte in volatile messages, from 1; 0 means that the text follows. Append only. */
export const contentTypes = ['text/plain; charset=utf-8', 'application/octet-stream', 'application/json'] as const

const codeOfContentType: ReadonlyMap<string, number> = new Map(contentTypes.map((text, index) => [text, index + 1]))

/** The code of a content type; 0 when it has none. */
export const contentTypeCode = (contentType: string): number => codeOfContentType.get(contentType) ?? 0

/** The content type of a code from 1; undefined when there is none. */
export const contentTypeOfCode = (code: number): string | undefined => contentTypes[code - 1]
