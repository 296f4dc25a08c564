/** What npm installs is what was reviewed: whole, hashed, from one registry, and running nothing by itself. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { before, describe, test } from 'node:test'
import { type LockEntry, readLock } from '../../scripts/lib/lock.ts'
import { version } from '../../src/core/base/index.ts'
import { inRoot } from '../../scripts/lib/paths.ts'

interface Manifest {
  readonly version: string
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly scripts: Record<string, string>
}

/** Licences whose terms the notices of the bundle meet. */
const allowedLicences = /^(?:\(?(?:MIT|Apache-2\.0|ISC|BSD-2-Clause|BSD-3-Clause|0BSD|BlueOak-1\.0\.0|Unlicense|CC0-1\.0)(?: OR |\)|$)+)+/

let packages: ReadonlyMap<string, LockEntry> = new Map()
let manifest: Manifest = { dependencies: {}, devDependencies: {}, scripts: {}, version: '' }

const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
const namesWhere = (wanted: (entry: LockEntry) => boolean): readonly string[] =>
  [...packages].filter(([, entry]) => wanted(entry)).map(([path]) => path)

before(async () => {
  const lock = readLock(await readFile(inRoot('package-lock.json'), 'utf8'))
  packages = new Map(Object.entries(lock.packages).filter(([path, entry]) => path.includes('node_modules/') && entry.link !== true))
  manifest = JSON.parse(await readFile(inRoot('package.json'), 'utf8'))
})

describe('the lock', () => {
  test('has a sha512 of every package', () => {
    assert.deepEqual(
      namesWhere((entry) => entry.integrity?.startsWith('sha512-') !== true),
      []
    )
  })
  test('names no registry, no git repository, no file and no address', () => {
    assert.deepEqual(
      namesWhere((entry) => entry.resolved !== undefined),
      []
    )
  })
  test('has no runtime dependency with an install script', () => {
    assert.deepEqual(
      namesWhere((entry) => entry.hasInstallScript === true && entry.dev !== true),
      []
    )
  })
  test('has an entry for every platform package that it names, as npm ci wants', () => {
    const names = new Set([...packages.keys()].map(nameOf))
    const missing = [...packages.values()].flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}).filter((name) => !names.has(name)))
    assert.deepEqual(missing, [], 'run: node scripts/tidy-lock.ts')
  })
  test('has one package that brings node: npm 10 removes the link when there are two', () => {
    assert.equal(namesWhere((entry) => entry.bin?.['node'] !== undefined).length, 1)
  })
  test('holds runtime dependencies of known licences only', () => {
    assert.deepEqual(
      namesWhere((entry) => entry.dev !== true && !allowedLicences.test(entry.license ?? '')),
      []
    )
  })
})

describe('the manifest', () => {
  test('has the version that the code tells', () => assert.equal(manifest.version, version))
  test('pins every dependency to one version', () => {
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    assert.deepEqual(
      all.filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)),
      []
    )
  })
  test('runs nothing when it is installed', () => {
    const names = Object.keys(manifest.scripts)
    assert.deepEqual(
      names.filter((name) => /^(?:pre|post)?install$|^prepare$/.test(name)),
      []
    )
  })
})

test('npm runs no script of a dependency in the checkout', async () => {
  assert.match(await readFile(inRoot('.npmrc'), 'utf8'), /^ignore-scripts=true$/m)
})
