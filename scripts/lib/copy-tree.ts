import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inRoot } from './paths.ts'

/** A copy of parts of the checkout that may be spoilt. */
export interface TreeCopy extends AsyncDisposable {
  readonly root: string
}

/** Copies `parts` of the checkout (those that exist) to a temporary folder, with the dependencies linked. Dispose of it to remove it. */
export async function copyTree(parts: readonly string[]): Promise<TreeCopy> {
  const root = await mkdtemp(join(tmpdir(), 'synaptic-mesh-copy-'))
  for (const part of parts.filter((each) => existsSync(inRoot(each)))) await cp(inRoot(part), join(root, part), { recursive: true })
  await symlink(inRoot('node_modules'), join(root, 'node_modules'))
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) }
}
