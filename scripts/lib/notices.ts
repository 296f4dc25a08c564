import { existsSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

/** The package folder that a bundled file belongs to, as far as it is a dependency. */
function packageFolder(input: string): string | undefined {
  const match = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)
  return match?.[0]
}

async function notice(root: string, folder: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'))
  const field = (name: string): string => {
    const value: unknown = typeof manifest === 'object' && manifest !== null ? Reflect.get(manifest, name) : undefined
    return typeof value === 'string' ? value : 'unknown'
  }
  const names = (await readdir(join(root, folder))).filter((name) => /^(licen[cs]e|notice|copying)/i.test(name)).sort()
  const texts = await Promise.all(names.map((name) => readFile(join(root, folder, name), 'utf8')))
  return [`${field('name')} ${field('version')} (${field('license')})`, ...texts.map((text) => text.trim())].join('\n\n')
}

/** The licences of every dependency whose code is inside a bundle, as those licences ask for. */
export async function thirdPartyNotices(root: string, metafiles: readonly Metafile[]): Promise<string> {
  const inputs = metafiles.flatMap((metafile) => Object.keys(metafile.inputs))
  const folders = [...new Set(inputs.flatMap((input) => packageFolder(input) ?? []))].sort()
  const present = folders.filter((folder) => existsSync(join(root, folder, 'package.json')))
  const texts = await Promise.all(present.map((folder) => notice(root, folder)))
  return `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
