import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { GroupInfo, Groups, PeerInfo, SendReport } from '../../src/mesh/mesh.ts'

const id = '0123456789abcdef0123456789abcdef'
const changedAt = wallMillis(Date.UTC(2026, 10, 23, 12))

interface World {
  readonly self: string
  readonly peer: (name: string) => PeerInfo
  /** What was done, for whoever compares states. */
  readonly record: (change: string) => void
}

/** The groups of the fake node: `swarm-alpha` with `agent-001`, `agent-002` and a member that is not paired. */
export function fakeGroups({ self, peer, record }: World): Groups {
  const member = (name: string): GroupInfo['members'][number] => {
    const { peerId, name: shown, paired, connected } = peer(name)
    return { peerId, name: shown, recordName: name, admin: false, self: false, paired, connected }
  }
  const own = { peerId: self, name: 'me', recordName: 'me', admin: true, self: true, paired: false, connected: false }
  const group = (names: readonly string[], changes: Partial<GroupInfo> = {}): GroupInfo => ({
    ...{ id, name: 'swarm-alpha', state: 'joined', role: 'creator', creator: { peerId: self, name: 'me' }, epoch: 2, sequence: 3, changedAt },
    members: [own, ...names.map(member)],
    ...changes
  })
  const members = ['agent-001', 'agent-002', 'stranger']
  const known = (name: string): void => {
    if (name !== 'swarm-alpha') throw new MeshError('GROUP_UNKNOWN', { group: name })
  }
  return {
    create: async (name, { members: added = [] } = {}) => {
      if (name === 'agent-001') throw new MeshError('GROUP_EXISTS', { group: name, reason: 'a peer is reached under that name' })
      record(`group create ${name}`)
      return group(added, { name, epoch: 1, sequence: 1 })
    },
    add: async (name, added) => {
      known(name)
      record(`group add ${name}`)
      return group([...members, ...added], { epoch: 3, sequence: 4 })
    },
    remove: async (name, removed) => {
      known(name)
      record(`group remove ${name}`)
      return group(
        members.filter((each) => !removed.includes(each)),
        { epoch: 3, sequence: 4 }
      )
    },
    list: async () => [group(members), group(['agent-001'], { name: 'old-crew', state: 'left', role: 'none', id: 'f'.repeat(32) })],
    get: async (name) => {
      known(name)
      return group(members)
    },
    leave: async (name) => {
      known(name)
      record(`group leave ${name}`)
      return group(members, { state: 'left', role: 'none' })
    },
    end: async (name) => {
      known(name)
      record(`group delete ${name}`)
      return group([], { state: 'ended', role: 'none' })
    }
  }
}

/** A message to the fake node's group: stored, held, and on its way. */
export function fakeGroupReport(report: SendReport, peer: (name: string) => PeerInfo): SendReport {
  const member = (name: string, status: 'stored' | 'held' | 'accepted', ms: number): NonNullable<SendReport['members']>[number] => {
    const { peerId, name: shown } = peer(name)
    const path = status === 'accepted' ? undefined : 'direct-lan'
    return { peer: { peerId, name: shown }, id: `grp-${name}`, status, path, ms, attempts: 1, error: undefined }
  }
  const members = [member('agent-001', 'stored', 3.2), member('stranger', 'held', 5), member('offline', 'accepted', 0)]
  return { ...report, to: members.map((each) => each.peer), status: 'accepted', path: undefined, ms: 5, group: { id, name: 'swarm-alpha' }, members }
}
