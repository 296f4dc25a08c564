import { dirname, relative, resolve, sep } from 'node:path'

/** Which layers a layer may import. `core` meets nobody; `testing` may see what it tests with. */
const layerImports: Readonly<Record<string, readonly string[]>> = {
  core: [],
  crypto: ['core'],
  mesh: ['core'],
  node: ['core', 'crypto', 'mesh'],
  api: ['core'],
  daemon: ['core', 'api', 'mesh', 'node'],
  cli: ['core', 'api'],
  testing: ['core', 'crypto', 'mesh', 'node']
}

/** Packages that a layer may import besides its fellow layers; a layer without an entry is free. */
const layerPackages: Readonly<Record<string, RegExp>> = {
  core: /^(?:@noble\/|cborg(?:\/|$))/,
  mesh: /^(?:@libp2p\/(?:interface|peer-id|crypto|utils)(?:\/|$)|@multiformats\/multiaddr|multiformats(?:\/|$)|@noble\/|cborg(?:\/|$))/,
  api: /^(?:zod(?:\/|$)|node:)/,
  cli: /^(?:commander$|uqr$|node:)/
}

/** The folder of core that its siblings share. */
const sharedCore = 'base'

interface Place {
  readonly layer: string
  readonly part: string
}

function placeOf(file: string): Place | undefined {
  const parts = file.split(sep)
  const at = parts.lastIndexOf('src')
  const layer = at < 0 ? undefined : parts[at + 1]
  return layer === undefined || !Object.hasOwn(layerImports, layer) ? undefined : { layer, part: parts[at + 2] ?? '' }
}

function checkPackage(from: Place, specifier: string): string | undefined {
  const allowed = layerPackages[from.layer]
  return allowed === undefined || allowed.test(specifier) ? undefined : `${from.layer} may not import the package ${specifier}`
}

/** Why `file` may not import `specifier`; undefined when it may. Type imports count as well. */
export function checkImport(file: string, specifier: string): string | undefined {
  const from = placeOf(file)
  if (from === undefined) return undefined
  if (!specifier.startsWith('.')) return checkPackage(from, specifier)
  const target = resolve(dirname(file), specifier)
  const to = placeOf(target)
  if (to === undefined) return `src may not import ${relative(dirname(file), target)}, which is outside of it`
  if (to.layer !== from.layer) return layerImports[from.layer]?.includes(to.layer) === true ? undefined : `${from.layer} may not import ${to.layer}`
  const isFolder = !from.part.endsWith('.ts')
  const isSibling = from.layer === 'core' && isFolder && to.part !== from.part && to.part !== sharedCore
  return isSibling ? `core/${from.part} may not import core/${to.part}: siblings know core/${sharedCore} only and meet in mesh` : undefined
}
