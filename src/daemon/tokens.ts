import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type Scope, scopes } from '../api/index.ts'
import { utf8 } from '../core/base/index.ts'
import { ensurePrivateFolder, writePrivateFile } from '../node/files.ts'

/** Makes the tokens of this run (256 bits each) and writes them to `tokens/<scope>` (mode 0600): those of an earlier run are void. */
export function issueTokens(runtimeFolder: string): Readonly<Record<Scope, string>> {
  const folder = join(runtimeFolder, 'tokens')
  ensurePrivateFolder(folder)
  const make = (): string => randomBytes(32).toString('base64url')
  const tokens: Readonly<Record<Scope, string>> = { read: make(), agent: make(), admin: make() }
  for (const scope of scopes) writePrivateFile(join(folder, scope), utf8(`${tokens[scope]}\n`))
  return tokens
}
