import type { catalogue, OutputOf } from '../api/index.ts'
import type { MessageType } from '../core/message/types.ts'
import type { PeerInfo, ReceivedMessage, SendReport } from '../mesh/mesh.ts'

/** From the mesh's values to the shapes of the control API. */

type WireMessage = OutputOf<typeof catalogue.inboxRead>['messages'][number]
type WireReport = OutputOf<typeof catalogue.outboxCancel>
type WirePeer = OutputOf<typeof catalogue.peers>['peers'][number]

const typeByName: ReadonlyMap<string, MessageType> = new Map([
  ['thought', 'Thought'],
  ['coordination', 'AgentCoordination'],
  ['swarm', 'SwarmSync'],
  ['proposal', 'ConsensusProposal'],
  ['vote', 'ConsensusVote'],
  ['health', 'HealthCheck'],
  ['metrics', 'MetricsUpdate'],
  ['command', 'Command'],
  ['response', 'Response']
])

/** The type that a name of the command line stands for; the catalogue has checked it. */
export const messageType = (name: string): MessageType => typeByName.get(name) ?? 'Thought'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function bodyText(body: Uint8Array): { readonly body: string; readonly encoding: 'utf8' | 'base64' } {
  try {
    return { body: decoder.decode(body), encoding: 'utf8' }
  } catch {
    return { body: Buffer.from(body).toString('base64'), encoding: 'base64' }
  }
}

const wireReference = ({ peerId, name }: ReceivedMessage['source']): { readonly peerId: string; readonly name: string } => ({ peerId, name })

export function wireMessage(message: ReceivedMessage): WireMessage {
  return {
    id: message.id,
    type: message.type,
    source: message.source.peerId,
    name: message.source.name,
    sender: { ...wireReference(message.source), verified: true, paired: message.paired },
    label: message.label,
    toLabel: message.toLabel,
    paired: message.paired,
    priority: message.priority,
    timestamp: message.timestamp,
    receivedAt: message.receivedAt,
    inReplyTo: message.inReplyTo,
    expectsReply: message.expectsReply,
    contentType: message.contentType,
    ...bodyText(message.body),
    state: message.state,
    read: message.state === 'read',
    redelivered: message.redelivered,
    delivery: message.delivery,
    position: message.position,
    thread: { ...message.thread },
    group: message.group === undefined ? undefined : { ...message.group },
    untrusted: true
  }
}

const wireError = (error: SendReport['error']): WireReport['error'] => (error === undefined ? undefined : { ...error, next: [...error.next] })

export function wireReport(report: SendReport): WireReport {
  const { id, type, priority, status, via, path, ms, attempts, acceptedAt, expiresAt } = report
  return {
    id,
    to: report.to.map(({ peerId, name }) => ({ peerId, name })),
    type,
    priority,
    status,
    via,
    path,
    ms,
    attempts,
    acceptedAt,
    expiresAt,
    error: wireError(report.error),
    group: report.group === undefined ? undefined : { ...report.group },
    members: report.members?.map((member) => ({ ...member, peer: wireReference(member.peer), error: wireError(member.error) }))
  }
}

export function wirePeer(peer: PeerInfo): WirePeer {
  const { peerId, name, alias, claimedName, paired, commands, blocked, connected, path, rttMs, lastSeen } = peer
  const lists = { addresses: [...peer.addresses], features: [...peer.features], labels: [...peer.labels], foundBy: [...peer.foundBy] }
  const words = peer.words === undefined ? undefined : [...peer.words]
  return { peerId, name, alias, claimedName, paired, commands, blocked, connected, path, rttMs, lastSeen, words, ...lists }
}
