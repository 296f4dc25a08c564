import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { Contact, ContactChange, Contacts, PeerInfo, ReceivedMessage } from '../../src/mesh/mesh.ts'

const at = wallMillis(Date.UTC(2026, 10, 20, 9))

interface World {
  readonly peer: (name: string) => PeerInfo
  readonly held: () => readonly ReceivedMessage[]
  /** What was done, for whoever compares states. */
  readonly record: (change: string) => void
}

/** Decisions about the peers of the fake node: one stranger waits, as long as a message is held. */
export function fakeContacts({ peer, held, record }: World): Contacts {
  const contact = (name: string, change: Partial<Contact> = {}): Contact => {
    const { peerId, name: shown, alias, paired, commands, connected } = peer(name)
    return { peerId, name: shown, alias, pinnedName: shown, paired, commands, blocked: false, connected, since: paired ? at : undefined, ...change }
  }
  const change = (name: string, changes: Partial<ContactChange>): ContactChange => ({
    ...contact(name),
    ...{ released: 0, held: 0, deleted: 0, unread: 0, queued: 0 },
    ...changes
  })
  return {
    list: async () => [
      contact('agent-001'),
      contact('agent-002', { commands: false }),
      contact('refuser', { paired: false, blocked: true, since: undefined })
    ],
    pending: async ({ show = false } = {}) => {
      const { peerId, name, claimedName, connected } = peer('stranger')
      const messages = held()
      if (messages.length === 0) return []
      const counts = { messages: messages.length, bytes: 310, maxMessages: 100, maxBytes: 1_048_576 }
      return [
        { peerId, name, claimedName, connected, blocked: false, ...counts, since: at, types: ['Thought', 'HealthCheck'], held: show ? messages : [] }
      ]
    },
    approve: async (name, { alias, commands = false } = {}) => {
      record(`approve ${name}`)
      return change(name, { name: alias ?? name, alias, paired: true, commands, since: at, released: held().length })
    },
    rename: async (name, alias) => {
      if (!peer(name).paired) throw new MeshError('PEER_NOT_PAIRED', { peer: name })
      record(`rename ${name}`)
      return change(name, alias === '' ? {} : { name: alias, alias })
    },
    trust: async (name, { commands } = {}) => {
      record(`trust ${name}`)
      return change(name, commands === undefined ? {} : { commands })
    },
    block: async (name, { deleteHeld = false } = {}) => {
      record(`block ${name}`)
      return change(name, { paired: false, commands: false, blocked: true, deleted: deleteHeld ? held().length : 0, queued: 2 })
    },
    remove: async (name) => {
      record(`remove ${name}`)
      return change(name, { paired: false, commands: false, since: undefined, unread: 1 })
    }
  }
}
