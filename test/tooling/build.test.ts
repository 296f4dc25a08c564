/** The build is whole at any moment, the same wherever it is made, and made again only when a source changed. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { copyTree } from '../../scripts/lib/copy-tree.ts'

const parts = ['src', 'scripts', 'package.json', 'package-lock.json']

async function build(root: string, ...flags: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, ['scripts/build.ts', ...flags], { cwd: root, stdio: 'ignore' })
  const [code] = await once(child, 'exit')
  assert.equal(code, 0)
}

/** A hash of each file of dist/, without the stamp, which holds times. */
async function hashes(root: string): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(join(root, 'dist'))).filter((name) => name !== 'build.json').sort()
  const hashed = await Promise.all(
    names.map(async (name) => [
      name,
      createHash('sha256')
        .update(await readFile(join(root, 'dist', name)))
        .digest('hex')
    ])
  )
  return Object.fromEntries(hashed)
}

test('the same sources give the same bytes in any folder, also when two builds run at once', async () => {
  await using one = await copyTree(parts)
  await using other = await copyTree(parts)
  await Promise.all([build(one.root, '--clean'), build(one.root), build(other.root)])
  const made = await hashes(one.root)
  assert.ok(Object.keys(made).length > 1)
  assert.deepEqual(made, await hashes(other.root))
  const leftovers = (await readdir(one.root)).filter((name) => name.startsWith('.dist-'))
  assert.deepEqual(leftovers, [])
})

test('every chunk that a bundle names is there', async () => {
  await using tree = await copyTree(parts)
  await build(tree.root)
  const names = await readdir(join(tree.root, 'dist'))
  for (const name of names.filter((each) => each.endsWith('.js'))) {
    const text = await readFile(join(tree.root, 'dist', name), 'utf8')
    for (const [, chunk = ''] of text.matchAll(/["']\.\/(chunk-\w+\.js)["']/g)) assert.ok(names.includes(chunk), `${name} names ${chunk}`)
  }
})

test('--if-stale builds after a change, and only then', async () => {
  await using tree = await copyTree(parts)
  const stamp = join(tree.root, 'dist', 'build.json')
  await build(tree.root, '--if-stale')
  const first = (await stat(stamp)).mtimeMs
  await build(tree.root, '--if-stale')
  assert.equal((await stat(stamp)).mtimeMs, first)
  await appendFile(join(tree.root, 'src/core/base/time.ts'), '\nexport const planted = 1\n')
  await build(tree.root, '--if-stale')
  assert.notEqual((await stat(stamp)).mtimeMs, first)
})
