import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { bytes, count, table, timeOf } from './text.ts'

type Out<Name extends keyof Catalogue> = OutputOf<Catalogue[Name]>

const tick = (output: Output): string => output.paint('green', '✓')

export const keysShowLines = (value: Out<'keysShow'>): readonly string[] =>
  table([
    ['peer id', value.peerId],
    ['public key', value.publicKey],
    ['file', safe(value.file)],
    ['encrypted', value.encrypted ? 'yes' : 'no']
  ])

export const keysBackupLines = (value: Out<'keysBackup'>, output: Output): readonly string[] => [
  `${tick(output)} backup of ${value.peerId}`,
  `  ${safe(value.file)}   ${bytes(value.bytes)}`,
  `  holds ${value.files.map(({ name }) => safe(name)).join(', ')}`,
  ...(value.encryptedIdentity ? ['  the key file in it needs its own passphrase besides'] : []),
  '  the passphrase opens it: keep the two apart'
]

export const keysRestoreLines = (value: Out<'keysRestore'>, output: Output): readonly string[] => [
  `${tick(output)} profile ${safe(value.profile)} is ${value.peerId}, as it was at ${timeOf(value.madeAt)}`,
  ...(value.expiredUnknown === 0
    ? []
    : [`  ${count(value.expiredUnknown, 'message')} that were under way: whether they arrived is not known, they are not sent again`]),
  ...(value.burntInvites === 0 ? [] : [`  ${count(value.burntInvites, 'invite')} that were open are void`]),
  ...(value.voidTokens ? ['  tokens of the gateway are void, as some may have been revoked since: make new ones'] : []),
  ...(value.encryptedIdentity ? ['  its key file is encrypted: start it with its own passphrase'] : []),
  ...value.kept.map((path) => `  what was there before: ${safe(path)}`),
  `  the node that it is a copy of must not run any more; then: ${output.proposal('start')}`
]

export const keysPasswdLines = (value: Out<'keysPasswd'>, output: Output): readonly string[] => [
  value.encrypted
    ? `${tick(output)} the key file is encrypted; its passphrase is in ${safe(value.passphraseFile)}`
    : `${tick(output)} the key file is not encrypted any more`
]

const marks = { ok: ['green', '✓'], warn: ['yellow', '!'], fail: ['red', '✗'], skipped: ['dim', '-'] } as const

export const doctorLines = (value: Out<'doctor'>, output: Output): readonly string[] => [
  ...value.checks.flatMap(({ state, id, message, hint }) => {
    const [colour, mark] = marks[state]
    return [
      `${output.paint(colour, mark)} ${safe(id)}: ${safe(output.proposed(message))}`,
      ...(hint === undefined ? [] : [`  ${safe(output.proposed(hint))}`])
    ]
  }),
  summary(value)
]

function summary({ checks }: Out<'doctor'>): string {
  const of = (state: (typeof checks)[number]['state']): number => checks.filter((check) => check.state === state).length
  return `${count(checks.length, 'check')}: ${of('ok')} well, ${of('warn')} to look at, ${of('fail')} failed, ${of('skipped')} not made`
}

export const bugreportLines = (value: Out<'bugreport'>, output: Output): readonly string[] => [
  `${tick(output)} ${safe(value.file)}   ${bytes(value.bytes)}, ${count(value.logLines, 'line')} of the log`
]
