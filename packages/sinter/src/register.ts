/** `node --import sinter/register app.ts`: the source transform as files are loaded. Needs ts-morph. */
import "@sinter/autograph/register";
