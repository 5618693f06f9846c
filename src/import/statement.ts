// Text of a shell, as far as lines of ip(8) need it -> statements of words.

export interface Statement {
  /** Line of its first word; lines begin at 1. */
  readonly line: number;
  readonly words: readonly string[];
}

/** What stands between statements. */
const SEPARATOR = /^(&&|\|\||[;&|\n])/;
/** Where output goes: `2>&1`, `>/dev/null`. */
const REDIRECTION = /^[0-9]*[<>]+(&?[0-9]|\s*[^\s;&|]+)/;

/** Reads quotes, comments, lines that a backslash joins, and several statements in a line. */
export function readStatements(text: string): Statement[] {
  const statements: Statement[] = [];
  let line = 1;
  let words: string[] = [];
  let start = 1;
  let word: string | undefined;
  const endWord = (): void => {
    if (word === undefined) return;
    if (words.length === 0) start = line;
    words.push(word);
    word = undefined;
  };
  const endStatement = (): void => {
    endWord();
    if (words.length > 0) statements.push({ line: start, words });
    words = [];
  };
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at, at + 2);
    const separator = SEPARATOR.exec(rest)?.[0];
    const char = rest.charAt(0);
    let length = 1;
    const redirection = word === undefined ? REDIRECTION.exec(text.slice(at, at + 200)) : null;
    if (redirection !== null) length = redirection[0].length;
    else if (separator !== undefined) {
      endStatement();
      length = separator.length;
    } else if (rest === '\\\n' || (char === '\\' && text.startsWith('\\\r\n', at))) {
      endWord();
      length = text.indexOf('\n', at) + 1 - at;
    } else if (char === "'" || char === '"') {
      const end = text.indexOf(char, at + 1);
      length = (end < 0 ? text.length : end + 1) - at;
      word = (word ?? '') + text.slice(at + 1, end < 0 ? text.length : end);
    } else if (char === '#' && word === undefined) {
      length = comment(text.slice(at)).length;
      // A root's prompt looks the same: what looks like a command is told apart from it later.
      if (words.length === 0 && IP_COMMENT.test(text.slice(at, at + length))) {
        statements.push({ line, words: [text.slice(at, at + length).trim()] });
      }
    } else if (/\s/.test(char)) endWord();
    else word = (word ?? '') + char;
    line += text.slice(at, at + length).split('\n').length - 1;
    at += length;
  }
  endStatement();
  return statements;
}

/** A comment that would be a command without its `#`. */
const IP_COMMENT = /^#\s*(sudo\s+)?(\S*\/)?ip\s+(-\S+\s+)*(tun|link|addr|route)/;

function comment(text: string): string {
  const end = text.indexOf('\n');
  return end < 0 ? text : text.slice(0, end);
}
