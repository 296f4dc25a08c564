import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMeshError, utf8 } from '../../src/core/base/index.ts'
import { checkPrivateFolder, createPrivateFile, ensurePrivateFolder, fileError, readPrivateFile, writePrivateFile } from '../../src/node/files.ts'
import { temporaryFolder } from './temp.ts'

const isRoot = process.geteuid?.() === 0
const modeOf = (path: string): string => (lstatSync(path).mode & 0o777).toString(8)

test('folders are made with mode 0700 and files with 0600, whatever the umask is', (t) => {
  const base = temporaryFolder(t)
  for (const umask of [0o000, 0o777]) {
    const before = process.umask(umask)
    try {
      const folder = join(base, umask.toString(8), 'inner')
      ensurePrivateFolder(folder)
      writePrivateFile(join(folder, 'file'), utf8('secret'))
      createPrivateFile(join(folder, 'created'), utf8('secret'))
      assert.deepEqual(
        [modeOf(join(base, umask.toString(8))), modeOf(folder), modeOf(join(folder, 'file')), modeOf(join(folder, 'created'))],
        ['700', '700', '600', '600']
      )
      assert.deepEqual(readdirSync(folder).sort(), ['created', 'file'])
    } finally {
      process.umask(before)
    }
  }
})

test('a file is replaced as a whole, and creating never replaces', (t) => {
  const file = join(temporaryFolder(t), 'file')
  createPrivateFile(file, utf8('one'))
  assert.throws(() => createPrivateFile(file, utf8('two')), { code: 'PATH_UNSAFE' })
  assert.equal(readFileSync(file, 'utf8'), 'one')
  writePrivateFile(file, utf8('three'))
  assert.equal(readFileSync(file, 'utf8'), 'three')
})

test('a file that others may read is refused with the mode it wants', (t) => {
  const file = join(temporaryFolder(t), 'file')
  writeFileSync(file, 'x')
  chmodSync(file, 0o644)
  assert.throws(() => readPrivateFile(file), { code: 'PERMISSIONS_UNSAFE', details: { file, mode: '0644', wanted: '0600' } })
  assert.throws(() => writePrivateFile(file, utf8('y')), { code: 'PERMISSIONS_UNSAFE' })
  assert.equal(readFileSync(file, 'utf8'), 'x')
})

test('a folder that others may enter is refused', (t) => {
  const folder = join(temporaryFolder(t), 'folder')
  mkdirSync(folder)
  for (const mode of [0o755, 0o701, 0o770]) {
    chmodSync(folder, mode)
    assert.throws(() => ensurePrivateFolder(folder), { code: 'PERMISSIONS_UNSAFE' })
  }
})

test('a folder under one that everyone may change is refused, unless that one is sticky', (t) => {
  const open = join(temporaryFolder(t), 'open')
  mkdirSync(open)
  chmodSync(open, 0o777)
  assert.throws(() => ensurePrivateFolder(join(open, 'inner')), { code: 'PATH_UNSAFE' })
  chmodSync(open, 0o1777)
  ensurePrivateFolder(join(open, 'inner'))
})

test('a folder behind a link is judged by where it truly is', (t) => {
  const base = temporaryFolder(t)
  const open = join(base, 'open')
  mkdirSync(open)
  chmodSync(open, 0o777)
  symlinkSync(open, join(base, 'link'))
  assert.throws(() => ensurePrivateFolder(join(base, 'link', 'inner')), { code: 'PATH_UNSAFE' })
  chmodSync(open, 0o700)
  ensurePrivateFolder(join(base, 'link', 'inner'))
})

test(
  'a folder within that of another user is refused, whatever its own mode is',
  { skip: isRoot ? false : 'only root can give a folder away' },
  (t) => {
    const base = temporaryFolder(t)
    const foreign = join(base, 'foreign')
    mkdirSync(foreign, { mode: 0o755 })
    chownSync(foreign, 12_345, 12_345)
    assert.throws(() => ensurePrivateFolder(join(foreign, 'inner')), { code: 'PATH_UNSAFE' })
    symlinkSync(foreign, join(base, 'link'))
    assert.throws(() => ensurePrivateFolder(join(base, 'link', 'other')), { code: 'PATH_UNSAFE' })
  }
)

test('symbolic links, hard links, pipes and folders in the place of a file are refused and left alone', { timeout: 20_000 }, (t) => {
  const folder = temporaryFolder(t)
  const victim = join(folder, 'victim')
  writeFileSync(victim, 'untouched', { mode: 0o600 })
  const plant: Readonly<Record<string, (at: string) => void>> = {
    'symbolic link': (at) => symlinkSync(victim, at),
    'dangling link': (at) => symlinkSync(join(folder, 'nowhere'), at),
    'hard link': (at) => linkSync(victim, at),
    pipe: (at) => assert.equal(spawnSync('mkfifo', ['-m', '600', at]).status, 0),
    folder: (at) => mkdirSync(at, 0o700)
  }
  for (const [name, make] of Object.entries(plant)) {
    const at = join(folder, name)
    make(at)
    for (const use of [() => readPrivateFile(at), () => writePrivateFile(at, utf8('x')), () => createPrivateFile(at, utf8('x'))])
      assert.throws(use, { code: 'PATH_UNSAFE' }, name)
    assert.equal(lstatSync(at).isSymbolicLink(), name.includes('symbolic') || name.includes('dangling'))
  }
  assert.equal(readFileSync(victim, 'utf8'), 'untouched')
  assert.equal(existsSync(join(folder, 'nowhere')), false)
})

test('a symbolic link in the place of a folder is refused', (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'real'), 0o700)
  symlinkSync(join(folder, 'real'), join(folder, 'link'))
  assert.throws(() => ensurePrivateFolder(join(folder, 'link')), { code: 'PATH_UNSAFE' })
})

test('files and folders of another user are refused', { skip: isRoot ? false : 'needs root' }, (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'file')
  writePrivateFile(file, utf8('x'))
  chownSync(file, 65_534, 65_534)
  assert.throws(() => readPrivateFile(file), { code: 'PATH_UNSAFE' })
  mkdirSync(join(folder, 'theirs'), 0o700)
  chownSync(join(folder, 'theirs'), 65_534, 65_534)
  assert.throws(() => checkPrivateFolder(join(folder, 'theirs')), { code: 'PATH_UNSAFE' })
})

test('another user can neither read a private file nor list its folder', { skip: isRoot ? false : 'needs root' }, (t) => {
  const folder = join(temporaryFolder(t), 'private')
  ensurePrivateFolder(folder)
  writePrivateFile(join(folder, 'file'), utf8('secret'))
  chmodSync(join(folder, '..'), 0o755)
  for (const command of [
    ['cat', join(folder, 'file')],
    ['ls', folder]
  ]) {
    const run = spawnSync('setpriv', ['--reuid', '65534', '--clear-groups', ...command], { encoding: 'utf8' })
    assert.equal(run.error, undefined)
    assert.notEqual(run.status, 0)
    assert.match(run.stderr, /Permission denied/)
    assert.equal(run.stdout, '')
  }
})

test('paths with a zero byte, too long parts or too many of them are refused', (t) => {
  const folder = temporaryFolder(t)
  for (const path of [join(folder, 'a\0b'), join(folder, 'x'.repeat(256)), join(folder, ...Array.from({ length: 900 }, () => 'abcd'))]) {
    for (const use of [() => ensurePrivateFolder(path), () => writePrivateFile(path, utf8('x')), () => readPrivateFile(path)])
      assert.throws(use, { code: 'PATH_UNSAFE' })
  }
})

test('what is missing is said in words, without the name of the draft', (t) => {
  const folder = temporaryFolder(t)
  const missing = join(folder, 'missing')
  const reason = (run: () => void): string => {
    try {
      run()
    } catch (error) {
      return String(isMeshError(error, 'PATH_UNSAFE') && error.details['reason'])
    }
    return assert.fail('it was taken')
  }
  assert.equal(
    reason(() => createPrivateFile(join(missing, 'file'), utf8('x'))),
    `there is no folder ${missing}`
  )
  writePrivateFile(missing, utf8('x'))
  assert.equal(
    reason(() => createPrivateFile(join(missing, 'file'), utf8('x'))),
    `${missing} is no folder`
  )
  const other = fileError(Object.assign(new Error(`EXDEV: cross-device link not permitted, link '/a/.0.new' -> '/b'`), { code: 'EXDEV' }), '/b')
  assert.equal(other.details['reason'], 'EXDEV: cross-device link not permitted')
})

test('a draft that a crash left as a second name is removed at the next reading', (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'file')
  createPrivateFile(file, utf8('x'))
  linkSync(file, join(folder, '.0123456789abcdef.new'))
  assert.equal(Buffer.from(readPrivateFile(file) ?? []).toString(), 'x')
  assert.deepEqual(readdirSync(folder), ['file'])
})
