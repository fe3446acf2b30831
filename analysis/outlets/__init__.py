"""Tables, figures and answers as people read them: the page, LaTeX, csv, terminals, notebooks."""
