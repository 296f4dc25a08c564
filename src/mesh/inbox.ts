import type { WallMillis } from '../core/base/index.ts'
import type { InboxState, MessageType } from '../core/message/index.ts'
import type { CallOptions, ReceivedMessage } from './mesh.ts'

/** Reading: what of it belongs to the public interface of a node. */

export interface InboxQuery {
  readonly after?: number
  readonly limit?: number // 1–1,000, default 50
  readonly types?: readonly MessageType[]
  readonly from?: string
  readonly states?: readonly InboxState[] // default ['unread']
  /** Marks the messages as handed out, so that a second time says `redelivered`. Default false. */
  readonly handOut?: boolean
  /** A named reader: it gets each message until it acknowledged it itself. Taking messages registers it, looking at them does not. */
  readonly consumer?: string
}

/** For whom something is acknowledged or taken; without a name, for the reader that has none. */
export interface ConsumerOptions {
  readonly consumer?: string
}

/** A named reader of the inbox. */
export interface ConsumerInfo {
  readonly name: string
  readonly createdAt: WallMillis
  readonly usedAt: WallMillis
  /** It was not there for 7 days: no message waits for it any more. */
  readonly idle: boolean
  /** Messages that it acknowledged and others have not. */
  readonly acknowledged: number
}

export interface Inbox {
  list(query?: InboxQuery, call?: CallOptions): Promise<{ readonly messages: readonly ReceivedMessage[]; readonly cursor: number }>
  get(id: string, from?: string): Promise<ReceivedMessage>
  /**
   * Acknowledges by ids (rules: a cursor never does), for one reader. A message is read, and its sender learns that, when all named readers that are there
   * acknowledged it; where there is none, when the reader without a name did. Idempotent; resolves after the commit.
   */
  ack(
    messages: readonly { readonly source: string; readonly id: string }[],
    options?: ConsumerOptions
  ): Promise<{ readonly acknowledged: number; readonly unknown: readonly string[] }>
  /** Marks messages as handed out, for who listed them without. */
  handOut(messages: readonly Pick<ReceivedMessage, 'position'>[], options?: ConsumerOptions): Promise<void>
  /** The named readers. */
  consumers(): Promise<readonly ConsumerInfo[]>
  /** Registers a named reader (1–64 of A-Z a-z 0-9 . _ -), or says that it is there; whether it is new. @throws CONSUMER_LIMIT, OPTION_INVALID */
  useConsumer(name: string): Promise<boolean>
  /** Forgets a named reader: what waited for it alone is read. @throws CONSUMER_UNKNOWN */
  removeConsumer(name: string): Promise<void>
  counts(): Promise<{ readonly unread: number; readonly held: number; readonly bytes: number }>
}

/** An agent behind this node: a label on its card. */
export interface AgentInfo {
  readonly label: string
  readonly createdAt: WallMillis
}

/** The agents of this node, at most 16: peers address them by their labels. */
export interface Agents {
  list(): Promise<readonly AgentInfo[]>
  /** Whether it is new. @throws AGENT_LIMIT, OPTION_INVALID when it is not 1–64 of A-Z a-z 0-9 . _ - with a letter or digit first */
  add(label: string): Promise<boolean>
  /** @throws AGENT_UNKNOWN */
  remove(label: string): Promise<void>
}
