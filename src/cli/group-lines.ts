import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { count, milliseconds, table, timeOf } from './text.ts'

type Group = OutputOf<Catalogue['groupCreate']>
type Report = OutputOf<Catalogue['outboxCancel']>
type Member = NonNullable<Report['members']>[number]

/** The groups of a node; of one alone its members. */
export function groupListLines({ groups }: OutputOf<Catalogue['groupList']>, output: Output): readonly string[] {
  const [first] = groups
  if (first === undefined) return ['this node is in no group']
  if (groups.length === 1) return groupLines(first, output)
  return table(
    groups.map((group) => [
      safe(group.name),
      standing(group),
      count(group.members.length, 'member'),
      `epoch ${group.epoch}`,
      `@${safe(group.id.slice(0, 8))}`
    ])
  )
}

/** A group and its members. */
export function groupLines(group: Group, output: Output): readonly string[] {
  return [
    `${output.paint('bold', safe(group.name))}   ${standing(group)}   epoch ${group.epoch}   @${safe(group.id)}`,
    `  made by ${safe(group.creator.name)}, changed ${timeOf(group.changedAt)}, ${count(group.members.length, 'member')}`,
    ...table(
      group.members.map(({ name, recordName, peerId, admin, self, paired, connected }) => [
        `  ${safe(name)}`,
        // The name in the record is the word of the admin who wrote it: shown where we have none of our own.
        !self && !paired && recordName !== '' ? `called ${safe(recordName)}` : '',
        peerId,
        self ? 'this node' : paired ? 'paired' : 'not paired',
        admin ? 'admin' : '',
        connected ? 'connected' : ''
      ])
    )
  ]
}

/** What a change made of a group. */
export const groupChangeLines = (group: Group, what: string, output: Output): readonly string[] => [
  `${output.paint('green', '✓')} ${safe(group.name)} ${what}, ${count(group.members.length, 'member')}, epoch ${group.epoch}`
]

const standing = ({ state, role }: Group): string => (state === 'joined' ? role : state)

const reached = new Set(['stored', 'read'])

/** Whether a member's agent has the message before it. */
const isReached = ({ status }: Member): boolean => reached.has(status)

/** A report of a message to a group: in all, and for each member. */
export function groupReportLines(report: Report, output: Output): readonly string[] {
  const members = report.members ?? []
  const stored = members.filter(isReached).length
  const held = members.filter(({ status }) => status === 'held').length
  const reachedText = held === 0 ? `stored at ${stored}` : `stored at ${stored} and held at ${held}`
  const isFailed = members.some(({ status }) => status === 'failed' || status === 'expired-unknown')
  const symbol = stored === members.length ? output.paint('green', '✓') : isFailed ? output.paint('red', '✗') : output.paint('yellow', '…')
  return [
    `${symbol} ${reachedText} of ${count(members.length, 'member')} of ${groupName(report)} in ${milliseconds(report.ms)}   id ${safe(report.id)}`,
    ...table(
      members.map(({ peer, status, path, ms, error }) => [`  ${safe(peer.name)}`, status, safe(path ?? ''), milliseconds(ms), error?.code ?? ''])
    )
  ]
}

/** A message to a group in a list: whom it went to, and how far it came. */
export const groupReportCells = (report: Report): { readonly to: string; readonly status: string } => {
  const members = report.members ?? []
  return { to: `@${groupName(report)}`, status: `${report.status} ${members.filter(isReached).length}/${members.length}` }
}

const groupName = ({ group }: Report): string => (group === undefined || group.name === '' ? 'a group' : safe(group.name))
