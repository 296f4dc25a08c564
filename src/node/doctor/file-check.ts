import { closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, readdirSync, rmSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { ProfilePaths } from '../../core/options/index.ts'
import { type Check, fail, ok } from './check.ts'

const maxEntries = 10_000
const maxDepth = 4
const shownProblems = 20
/** A draft of a file that is being written lives for a moment. */
const leftBehindMs = 600_000
const draft = /^\.(?:.*\.)?[0-9a-f]{16}\.new$/
const restoreDraft = /\.restore-[0-9a-f]{12}$/

interface Entry {
  readonly path: string
  readonly stats: Stats
}

interface Problem {
  readonly message: string
  readonly hint: string
  /** Mends it, and says what was done; left out when nobody but the user may decide. */
  readonly mend?: () => string
}

/** Looks at every file and folder of a profile: type, owner, mode, links. With `fix`, ours are closed to others, and what a crash left behind is removed. */
export function checkFiles(paths: ProfilePaths, options: { readonly fix: boolean; readonly nowMs: number }): readonly Check[] {
  const entries = entriesOf(paths)
  const problems = [...entries.flatMap((entry) => problemsOf(entry, options.nowMs)), ...leftDrafts(paths, options.nowMs)]
  if (problems.length === 0) return [ok('files', `${entries.length} files and folders are this user's alone`)]
  const checks = problems.slice(0, shownProblems).map((problem) => checkOf(problem, options.fix))
  if (problems.length <= shownProblems) return checks
  return [
    ...checks,
    fail('files', `${problems.length - shownProblems} more files and folders are not as they should be`, 'Mend those that are shown, and look again.')
  ]
}

function checkOf({ message, hint, mend }: Problem, fix: boolean): Check {
  if (mend === undefined) return fail('files', message, hint)
  if (!fix) return { ...fail('files', message, hint), fixable: true }
  try {
    return { ...ok('files', mend()), fixed: true }
  } catch (error) {
    return fail('files', `${message}; it could not be mended: ${error instanceof Error ? error.message : String(error)}`, hint)
  }
}

function entriesOf({ stateFolder, runtimeFolder, configFile }: ProfilePaths): readonly Entry[] {
  const found = new Map<string, Entry>()
  for (const path of [stateFolder, runtimeFolder, configFile]) collect(path, found, 0)
  return [...found.values()]
}

function collect(path: string, found: Map<string, Entry>, depth: number): void {
  if (found.size >= maxEntries || depth > maxDepth) return
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  found.set(path, { path, stats })
  if (!stats.isDirectory()) return
  for (const name of namesIn(path)) collect(join(path, name), found, depth + 1)
}

/** A folder that cannot be read is told by its owner or its mode. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function problemsOf({ path, stats }: Entry, nowMs: number): readonly Problem[] {
  const remove = `Look at what it is, and remove it: rm ${path}`
  if (stats.isSymbolicLink()) return [{ message: `${path} is a symbolic link`, hint: remove }]
  if (!stats.isFile() && !stats.isDirectory() && !stats.isSocket()) return [{ message: `${path} is neither a file nor a folder`, hint: remove }]
  const own = process.geteuid?.()
  if (own !== undefined && stats.uid !== own)
    return [{ message: `${path} belongs to user ${stats.uid}`, hint: `As root: chown ${own} ${path}, once you know how it came there.` }]
  if (stats.isFile() && stats.nlink > 1)
    return [{ message: `${path} has ${stats.nlink} names (hard links)`, hint: `Copy it to a new file of its own.` }]
  if (stats.isFile() && draft.test(basename(path)) && nowMs - stats.mtimeMs > leftBehindMs)
    return [{ message: `${path} was left behind by a crash`, hint: remove, mend: () => removed(path, 'a crash') }]
  return modeProblem(path, stats)
}

function modeProblem(path: string, stats: Stats): readonly Problem[] {
  if (process.platform === 'win32' || (stats.mode & 0o077) === 0) return []
  const wanted = stats.isDirectory() ? 0o700 : 0o600
  const [found, right] = [stats.mode & 0o777, wanted].map((mode) => mode.toString(8).padStart(4, '0'))
  return [
    {
      message: `${path} is open to others (mode ${found}, wanted ${right})`,
      hint: `Run: chmod ${right} ${path}`,
      mend: () => {
        close(path, stats, wanted)
        return `${path} was open to others (mode ${found}), and has mode ${right} now`
      }
    }
  ]
}

function removed(path: string, by: string, recursive = false): string {
  rmSync(path, { recursive })
  return `${path}, left behind by ${by}, was removed`
}

/** By its descriptor: what stands there is what was judged. */
function close(path: string, judged: Stats, mode: number): void {
  if (judged.isSocket()) throw new Error('a socket is made anew when the daemon starts')
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { dev, ino } = fstatSync(descriptor)
    if (dev !== judged.dev || ino !== judged.ino) throw new Error('something else stands there now')
    fchmodSync(descriptor, mode)
  } finally {
    closeSync(descriptor)
  }
}

/** Folders of a restore that was cut off. */
function leftDrafts({ stateFolder }: ProfilePaths, nowMs: number): readonly Problem[] {
  const parent = dirname(stateFolder)
  return namesIn(parent)
    .filter((name) => name.startsWith(`${basename(stateFolder)}.`) && restoreDraft.test(name))
    .map((name) => join(parent, name))
    .filter((path) => nowMs - (lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs) > leftBehindMs)
    .map((path) => ({
      message: `${path} was left behind by a restore that was cut off`,
      hint: `Run: rm -r ${path}`,
      mend: () => removed(path, 'a restore that was cut off', true)
    }))
}
