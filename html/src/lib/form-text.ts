/** What was typed into a field of a form. */
export function formText(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === 'string' ? value : '';
}

/** Empties a form whose answer has come, unless somebody is typing the next one into it. */
export function emptyIfSent(form: HTMLFormElement, sent: FormData): void {
  const now = new FormData(form);
  if ([...now].every(([name, value]) => value === sent.get(name))) {
    form.reset();
  }
}
