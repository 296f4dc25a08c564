import { MeshError } from '../../core/base/index.ts'

const fail = (problem: string): never => {
  throw new MeshError('USAGE', { problem: `--exec: ${problem}` })
}

/** One place in the text, and the word that stands there so far. */
interface Reader {
  at: number
  word: string | undefined
}

/**
 * The words of a command line, split as a POSIX shell splits quotes: '…' as it stands, "…" with \" and \\, and \ before any other character.
 * Nothing is expanded, and no shell ever sees it: $, *, ~, ;, | and > are characters like any other. @throws {MeshError} USAGE
 */
export function splitWords(text: string): readonly string[] {
  const words: string[] = []
  const reader: Reader = { at: 0, word: undefined }
  while (reader.at < text.length) {
    const character = text[reader.at] ?? ''
    if (/[ \t\r\n]/.test(character)) {
      if (reader.word !== undefined) words.push(reader.word)
      reader.word = undefined
      reader.at += 1
    } else if (character === "'" || character === '"') quoted(text, reader, character)
    else if (character === '\\') escaped(text, reader)
    else {
      reader.word = (reader.word ?? '') + character
      reader.at += 1
    }
  }
  if (reader.word !== undefined) words.push(reader.word)
  if (words.length === 0) fail('it names no program')
  if (words.some((word) => word.includes('\0'))) fail('a word holds a zero byte')
  return words
}

function escaped(text: string, reader: Reader): void {
  const next = text[reader.at + 1] ?? fail('it ends after a backslash')
  reader.word = (reader.word ?? '') + next
  reader.at += 2
}

function quoted(text: string, reader: Reader, quote: string): void {
  let word = reader.word ?? ''
  let at = reader.at + 1
  for (; at < text.length && text[at] !== quote; at++) {
    const next = text[at + 1]
    if (quote === '"' && text[at] === '\\' && (next === '"' || next === '\\')) at++
    word += text[at] ?? ''
  }
  if (at >= text.length) fail(`a quote ${quote} is not closed`)
  reader.word = word
  reader.at = at + 1
}
