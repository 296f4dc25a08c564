import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { count, table, timeOf } from './text.ts'

type Joined = OutputOf<Catalogue['join']>
type Waited = OutputOf<Catalogue['inviteWait']>

/** What both people do with the words. */
const wordsLine = (words: readonly string[], output: Output): string =>
  `  words ${output.paint('bold', words.map(safe).join(' '))}   the other side shows the same three; if not, somebody stands between: ${output.proposal('peer remove PEER')}`

/** A pairing as either side is shown it. */
export const pairedLines = ({ peerId, name, alias, words }: Waited, output: Output): readonly string[] => [
  `${output.paint('green', '✓')} paired with ${safe(alias ?? (name === '' ? 'a peer without a name' : name))}   ${peerId}`,
  ...(words === undefined ? [`  its words are no longer kept; fresh ones: ${output.proposal('quantum PEER')}`] : [wordsLine(words, output)])
]

export const joinLines = (value: Joined, output: Output): readonly string[] => [
  ...pairedLines(value, output),
  ...(value.note === undefined ? [] : [safe(value.note)])
]

export function inviteListLines({ invites }: OutputOf<Catalogue['inviteList']>): readonly string[] {
  if (invites.length === 0) return ['no invites were given out']
  return table(
    invites.map(({ id, state, expiresAt, failures, commands, usedBy }) => [
      safe(id),
      state,
      usedBy === undefined ? (state === 'open' ? `until ${timeOf(expiresAt)}` : '') : `by ${safe(usedBy.name)}`,
      commands ? '' : 'no Commands',
      failures === 0 ? '' : count(failures, 'wrong proof')
    ])
  )
}
