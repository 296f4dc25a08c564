import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { count, table, timeOf } from './text.ts'

type Waited = OutputOf<Catalogue['inviteWait']>

/** What both people do with the words. */
const wordsLines = ({ peerId, alias, name, note }: Waited, words: readonly string[], output: Output): readonly string[] => [
  `  words ${output.paint('bold', words.map(safe).join(' '))}`,
  '  Compare them: the other side shows the same three, unless somebody stood between when the invite travelled.',
  // With a note its name may be that of two.
  `  If they differ: ${output.proposal(`peer remove ${safe(alias ?? (name === '' || note !== undefined ? peerId : name))}`)}`
]

/** A pairing as either side is shown it. */
export const pairedLines = (value: Waited, output: Output): readonly string[] => [
  `${output.paint('green', '✓')} paired with ${safe(value.alias ?? (value.name === '' ? 'a peer without a name' : value.name))}   ${value.peerId}`,
  ...(value.words === undefined
    ? [`  its words are no longer kept; fresh ones: ${output.proposal(`quantum ${value.peerId}`)}`]
    : wordsLines(value, value.words, output)),
  ...(value.note === undefined ? [] : [safe(output.proposed(value.note))])
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
