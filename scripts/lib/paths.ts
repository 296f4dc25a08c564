import { fileURLToPath } from 'node:url'
import { delimiter, join } from 'node:path'

/** The checkout's root folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** A path inside the checkout. */
export const inRoot = (...parts: readonly string[]): string => join(root, ...parts)

/** The environment for child processes: the checkout's own tools, Node 24 among them, come first. */
export function toolEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${inRoot('node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`, ...extra }
}
