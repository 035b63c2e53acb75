/** Lends a suite in the extension host eyes and hands: the page that its window is shown in. */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';

/** What can be asked of the page, as `window.ts` sends it. */
export type Action =
  | { readonly do: 'texts'; readonly selector: string }
  | { readonly do: 'wait'; readonly selector: string; readonly text: string }
  | { readonly do: 'click'; readonly selector: string; readonly text: string }
  | { readonly do: 'fill'; readonly selector: string; readonly text: string }
  | { readonly do: 'press'; readonly keys: string; readonly selector?: string };

async function perform(page: Page, action: Action): Promise<unknown> {
  switch (action.do) {
    case 'texts':
      return page.locator(action.selector).allInnerTexts();
    case 'wait':
      await page.locator(action.selector, { hasText: action.text }).first().waitFor();
      return null;
    case 'click':
      await page.locator(action.selector, { hasText: action.text }).first().click();
      return null;
    case 'fill':
      await page.locator(action.selector).fill(action.text);
      return null;
    case 'press':
      // In a field, where there is one: the window may give the focus to its editor at any time.
      await (action.selector === undefined
        ? page.keyboard.press(action.keys)
        : page.locator(action.selector).press(action.keys));
      return null;
  }
}

/** Serve the page; `failure` is where the picture of an action that fails goes. */
export async function serveWindow(
  page: () => Page | undefined,
  failure: string,
): Promise<{ address: string; close: () => void }> {
  const server = http.createServer((request, response) => {
    void (async (): Promise<void> => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) {
        body += chunk as string;
      }
      try {
        const shown = page();
        if (shown === undefined) {
          throw new Error('There is no page yet.');
        }
        response.end(JSON.stringify((await perform(shown, JSON.parse(body) as Action)) ?? null));
      } catch (error) {
        await page()
          ?.screenshot({ path: failure })
          .catch(() => undefined); // of this moment: at the end of the suite it is another one
        response.writeHead(500).end(String(error));
      }
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
