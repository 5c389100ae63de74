/** What the compiler did with one function: dumps as numbered files, and one offline page. */
