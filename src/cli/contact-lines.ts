import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { bytes, count, table, timeOf } from './text.ts'

type Stranger = OutputOf<Catalogue['pending']>['strangers'][number]
type Contact = OutputOf<Catalogue['peerList']>['peers'][number]
type Change = OutputOf<Catalogue['approve']>

/** A name that a shell takes for one word, as it is. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** Strangers that wait for a decision. @param messageLines - how a message is shown */
export function pendingLines(
  value: OutputOf<Catalogue['pending']>,
  output: Output,
  messageLines: (message: NonNullable<Stranger['held']>[number]) => readonly string[]
): readonly string[] {
  if (value.strangers.length === 0) return ['nobody waits for a decision']
  const missing = value.messages - value.strangers.reduce((sum, { messages }) => sum + messages, 0)
  return [
    ...value.strangers.flatMap((stranger) => [
      ...strangerLines(stranger, output),
      ...(stranger.held ?? []).flatMap((message) => ['', ...messageLines(message)])
    ]),
    ...(missing > 0 ? ['', `${count(missing, 'message')} of others: ${output.proposal('pending --limit 1000')}`] : []),
    '',
    `to refuse one: ${output.proposal('peer block PEER --delete')}`
  ]
}

function strangerLines(stranger: Stranger, output: Output): readonly string[] {
  const { name, peerId, claimedName, connected, blocked, messages, maxMessages, bytes: size, maxBytes, since, types } = stranger
  return [
    `${output.paint('bold', safe(name))}   ${peerId}`,
    `  ${claimedName === undefined ? 'has said no name' : `claims the name ${safe(claimedName)}: nobody has checked that`} · ${blocked ? 'blocked' : connected ? 'connected' : 'not connected'}`,
    `  ${count(messages, 'message')} of ${maxMessages}, ${bytes(size)} of ${bytes(maxBytes)}, since ${timeOf(since)}: ${types.join(', ')}`,
    `  to take it in: ${output.proposal(`approve ${peerId} --as ${claimedName !== undefined && plainName.test(claimedName) ? claimedName : 'ALIAS'}`)}`
  ]
}

/** Peers that were decided about. */
export const contactListLines = ({ peers }: OutputOf<Catalogue['peerList']>): readonly string[] =>
  peers.length === 0
    ? ['no peer is paired or blocked']
    : table(
        peers.map((peer) => [
          safe(peer.name),
          peer.peerId,
          standingText(peer),
          peer.connected ? 'connected' : '-',
          peer.since === undefined ? '' : `since ${timeOf(peer.since)}`
        ])
      )

/** What a peer may do here. */
export const standingText = ({ paired, commands, blocked }: Pick<Contact, 'paired' | 'commands' | 'blocked'>): string =>
  blocked ? 'blocked' : paired ? (commands ? 'paired, may command' : 'paired, no commands') : 'not paired'

/** What was done about a peer. */
export function changeLines(value: Change, output: Output): readonly string[] {
  const { name, peerId, alias, blocked, paired, released, held, deleted, unread, queued } = value
  const facts = [
    released > 0
      ? `${count(released, 'message')} that ${released === 1 ? 'was' : 'were'} held ${released === 1 ? 'is' : 'are'} unread now: ${output.proposal('inbox')}`
      : '',
    deleted > 0 ? `${count(deleted, 'held message')} deleted` : '',
    held > 0 ? `${count(held, 'message')} of it ${held === 1 ? 'is' : 'are'} held` : '',
    unread > 0 && !paired ? `${count(unread, 'unread message')} of it ${unread === 1 ? 'stays' : 'stay'} in the inbox` : '',
    queued > 0 && (blocked || !paired)
      ? `${count(queued, 'message')} to it ${queued === 1 ? 'waits' : 'wait'} in the outbox: ${output.proposal('outbox')}`
      : ''
  ]
  return [
    `${output.paint('green', '✓')} ${safe(name)}${alias === undefined || value.pinnedName === '' || value.pinnedName === alias ? '' : ` (calls itself ${safe(value.pinnedName)})`}: ${standingText(value)}   ${peerId}`,
    ...facts.filter((fact) => fact !== '').map((fact) => `  ${fact}`),
    ...(value.note === undefined ? [] : [`  ${safe(output.proposed(value.note))}`])
  ]
}
