import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { type Kem, type KemBackend, type KemLevel, kem } from '../../src/crypto/public.ts'

/** The text of a file of test/vectors; its README says where each comes from. */
export const readVectors = (name: string): string => gunzipSync(readFileSync(new URL(`../vectors/${name}.gz`, import.meta.url))).toString()

/** A file of NIST's ACVP: groups with a parameter set, and cases as they stand there. */
export interface AcvpFile<Group, Case> {
  readonly testGroups: readonly (Group & { readonly parameterSet: string; readonly tests: readonly Case[] })[]
}

/** The groups of an ACVP file. */
export function readAcvp<Group, Case>(name: string): AcvpFile<Group, Case>['testGroups'] {
  const file: AcvpFile<Group, Case> = JSON.parse(readVectors(name))
  return file.testGroups
}

export const kemLevels = [1, 3, 5] as const satisfies readonly KemLevel[]

/** The level of a parameter set, and ML-KEM at it. */
export function kemOf(parameterSet: string, backend: KemBackend): Kem {
  const found = kemLevels.map((level) => kem(level, backend)).find(({ name }) => name === parameterSet)
  if (found === undefined) throw new RangeError(`no ${parameterSet}`)
  return found
}

/** Whether a check was met; what is no error of ours is thrown on. */
export async function isMet(check: Promise<unknown>): Promise<boolean> {
  try {
    await check
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'KEY_INVALID') return false
    throw error
  }
}
