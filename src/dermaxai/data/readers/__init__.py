"""Readers, one per dataset: from the publisher's folder to samples.

A reader is a function `read(folder: DatasetFolder) -> Iterator[Sample]`. It yields one sample per photo in
the order of the publisher's table, also for photos that are not on disk (`path` None), and tells
`folder.report` of every row that is broken or whose label nothing maps.
"""

from dermaxai.registry import Table

READERS = Table(
    "dataset",
    {
        "derm1m": "dermaxai.data.readers.derm1m:read",
        "derm1m_agentaug": "dermaxai.data.readers.derm1m_agentaug:read",
        "sd198": "dermaxai.data.readers.sd198:read",
        "derm7pt": "dermaxai.data.readers.derm7pt:read",
        "ham10000": "dermaxai.data.readers.ham10000:read",
        "dermnet": "dermaxai.data.readers.dermnet:read",
        "skincon": "dermaxai.data.readers.skincon:read",
        "skincon_crowd": "dermaxai.data.readers.skincon_crowd:read",
        "skincap": "dermaxai.data.readers.skincap:read",
        "skincare": "dermaxai.data.readers.skincare:read",
        "pad_ufes_20": "dermaxai.data.readers.pad_ufes_20:read",
        "bcn20000": "dermaxai.data.readers.bcn20000:read",
        "mra_midas": "dermaxai.data.readers.mra_midas:read",
        "isic2019": "dermaxai.data.readers.isic2019:read",
        "isic_archive": "dermaxai.data.readers.isic_archive:read",
        "fitzpatrick17k": "dermaxai.data.readers.fitzpatrick17k:read",
        "ddi": "dermaxai.data.readers.ddi:read",
    },
)
